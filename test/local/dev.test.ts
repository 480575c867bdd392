import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DevReport } from '../../cli/dev/report.ts';
import { until } from '../support/calls_worker.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'cli/main.ts');

let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'rtvoice-local-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

interface Run {
  child: ChildProcess;
  out: () => string;
  err: () => string;
  ended: Promise<number | null>;
}

function run(command: string, args: string[]): Run {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: process.env });
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  return { child, out: () => out, err: () => err, ended };
}

const rtvoice = (...args: string[]) => run(process.execPath, [main, ...args]);

/** Processes whose environment or command line names the state folder. */
function leftIn(stateDir: string): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return [];
    try {
      const text = readFileSync(`/proc/${entry}/environ`, 'utf8') + readFileSync(`/proc/${entry}/cmdline`, 'utf8');
      return text.includes(stateDir) ? [Number(entry)] : [];
    } catch {
      // Gone meanwhile, or a process of the system's own.
      return [];
    }
  });
}

test('npm start -- --calls 3 --exit --json: three overlapping calls on both workers, one JSON object, nothing left', async () => {
  const stateDir = join(dir, 'exit');
  const local = run('npm', ['start', '--', '--calls', '3', '--exit', '--json', '--state-dir', stateDir]);
  const code = await local.ended;
  assert.equal(code, 0, local.err());
  const report = JSON.parse(local.out()) as DevReport;
  assert.equal(report.ok, true);
  assert.equal(report.calls.length, 3);
  assert.equal(report.workers.length, 2, 'Spread uses both workers');
  assert.deepEqual(report.redis, { keysWithoutTtl: 0, keyFaults: 0 });
  assert.equal(report.sealing.inClear, 0);
  assert.ok(report.sealing.records > 6, `${report.sealing.records} records`);
  for (const call of report.calls) {
    assert.equal(call.archived, true);
    for (const turn of call.turns) assert.equal(turn.heard, turn.spoken);
  }
  assert.deepEqual(leftIn(stateDir), []);
});

test('local mode: a call by command, a second start refused, Ctrl-C ends all in order', async () => {
  const stateDir = join(dir, 'live');
  const local = rtvoice('dev', '--calls', '1', '--state-dir', stateDir);
  try {
    await until(
      () => local.out().includes('answered') || local.child.exitCode !== null,
      'the first call is answered',
      60_000,
    );
    assert.equal(local.child.exitCode, null, local.err());

    const call = rtvoice('call', '--text', 'when are you open', '--keys', '9', '--state-dir', stateDir);
    assert.equal(await call.ended, 0, call.err());
    assert.match(call.out(), /heard {6}when are you open\n/);
    assert.match(call.out(), /answered {3}We are open from nine to five/);

    const id = /^call {7}(\S+)$/m.exec(call.out())?.[1] ?? '';
    const show = () => rtvoice('calls', 'show', id, '--state-dir', stateDir);
    await until(async () => (await show().ended) === 0, 'the call is archived', 20_000);
    const shown = show();
    await shown.ended;
    assert.match(shown.out(), /caller +when are you open/);

    const sourced = run('sh', ['-c', '. "$1/env" && "$2" "$3" verify sealing', 'sh', stateDir, process.execPath, main]);
    assert.equal(await sourced.ended, 0, sourced.err());
    assert.match(sourced.out(), /^redis +\d+ +- +0\ncosmos +\d+ +- +0$/m);

    const pool = rtvoice('pool', 'get', '--state-dir', stateDir);
    assert.equal(await pool.ended, 0, pool.err());
    assert.match(pool.out(), /^NAME +READY +DESIRED/);

    const second = rtvoice('dev', '--state-dir', stateDir);
    assert.equal(await second.ended, 3);
    assert.match(second.err(), /ERR_LOCAL_MODE_RUNS/);
  } finally {
    local.child.kill('SIGINT');
  }
  assert.equal(await local.ended, 0, local.err());
  assert.match(local.err(), /stopped\n$/);
  assert.deepEqual(leftIn(stateDir), []);
});

test('what a killed local mode left is ended by the next start', async () => {
  const stateDir = join(dir, 'killed');
  const first = rtvoice('dev', '--calls', '0', '--state-dir', stateDir);
  await until(() => leftIn(stateDir).length >= 6 || first.child.exitCode !== null, 'its parts run', 60_000);
  first.child.kill('SIGKILL');
  await first.ended;
  const left = leftIn(stateDir);
  assert.ok(left.length > 0, 'the parts have sessions of their own');
  const second = rtvoice('dev', '--calls', '1', '--exit', '--state-dir', stateDir);
  assert.equal(await second.ended, 0, second.err());
  assert.match(second.err(), /ending \d+ processes that an earlier start left/);
  assert.deepEqual(leftIn(stateDir), []);
});

test('bad flags and no running local mode are said with the fix', async () => {
  const bad = rtvoice('dev', '--calls', 'many', '--state-dir', join(dir, 'bad'));
  assert.equal(await bad.ended, 2);
  assert.match(bad.err(), /--calls takes a whole number/);
  const away = rtvoice('call', '--text', 'hello', '--state-dir', join(dir, 'bad'));
  assert.equal(await away.ended, 2);
  assert.match(away.err(), /ERR_LOCAL_MODE_AWAY/);
  const unknown = rtvoice('frobnicate');
  assert.equal(await unknown.ended, 2);
  assert.match(unknown.err(), /the commands are dev, call, pool, drain/);
});
