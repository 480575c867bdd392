import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { identify, isRunning, signal } from '../../platform/processes.ts';

function idle(t: TestContext): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  // A failed assertion must not leave it running: the test process would wait for it.
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('a running process is known by pid and start, and takes a signal', async (t) => {
  const child = idle(t);
  const identity = identify(child.pid ?? 0);
  assert.ok(identity && isRunning(identity));
  const ended = once(child, 'exit');
  assert.equal(signal(identity, 'SIGKILL'), true);
  await ended;
  assert.equal(isRunning(identity), false);
  assert.equal(signal(identity, 'SIGTERM'), false);
  assert.equal(identify(identity.pid), undefined);
});

test('a pid that was used again is another process and gets no signal', async (t) => {
  const child = idle(t);
  const identity = identify(child.pid ?? 0);
  assert.ok(identity);
  const earlier = { ...identity, startTicks: identity.startTicks - 1 };
  assert.equal(isRunning(earlier), false);
  assert.equal(signal(earlier, 'SIGKILL'), false);
  assert.equal(isRunning(identity), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
});
