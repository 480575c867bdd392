import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const platform = (file: string): string => fileURLToPath(new URL(`../../platform/${file}`, import.meta.url));

/** A program with one stop step that ends when its input does. */
const PROGRAM = `
  import { systemClock } from '${platform('clock.ts')}';
  import { Lifecycle } from '${platform('lifecycle.ts')}';
  import { silentLog } from '${platform('log.ts')}';
  const lifecycle = new Lifecycle(systemClock, silentLog);
  lifecycle.onStop('wait for input', Infinity, async () => {
    process.send('stopping');
    await new Promise((resolve) => process.stdin.on('end', resolve).resume());
  });
  lifecycle.exitOnSignals();
  setInterval(() => {}, 1000);
  process.send('ready');
`;

async function program(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
  });
  assert.deepEqual(await once(child, 'message'), ['ready', undefined]);
  return child;
}

test('SIGTERM stops in order and exits 0', async () => {
  const child = await program();
  child.kill('SIGTERM');
  await once(child, 'message');
  child.stdin?.end();
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('a second SIGTERM changes nothing', async () => {
  const child = await program();
  child.kill('SIGTERM');
  await once(child, 'message');
  child.kill('SIGTERM');
  child.stdin?.end();
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('a second Ctrl-C exits at once with 130', async () => {
  const child = await program();
  child.kill('SIGINT');
  await once(child, 'message');
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [130, null]);
});
