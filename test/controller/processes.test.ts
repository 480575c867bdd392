import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ControllerLock } from '../../controller/runtime/controller_lock.ts';
import { LocalProcesses } from '../../controller/runtime/local_processes.ts';
import type { RuntimeWorker } from '../../controller/runtime/ports.ts';
import { trimLog } from '../../controller/runtime/process_log.ts';
import { StateFolder } from '../../controller/runtime/state_folder.ts';
import { readRecord, writeRecord } from '../../controller/runtime/worker_records.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { identify, isRunning } from '../../platform/processes.ts';
import { until } from '../support/local_controller.ts';

/** A process that is ready at once and ends on SIGTERM. */
const SCRIPT = `
const { writeFileSync, renameSync } = require('node:fs');
const file = process.env.RTVOICE_READY_FILE;
const incarnation = 'i' + process.pid;
writeFileSync(file + '.tmp', JSON.stringify({ publicPort: 1, internalPort: 2, pid: process.pid, incarnation }));
renameSync(file + '.tmp', file);
setInterval(() => {}, 1000);
`;

async function withFolder(body: (folder: StateFolder, start: () => LocalProcesses) => Promise<void>): Promise<void> {
  const folder = new StateFolder(await mkdtemp(join(tmpdir(), 'rtvoice-processes-')));
  folder.prepare();
  const workerScript = join(folder.path, 'worker.cjs');
  await writeFile(workerScript, SCRIPT);
  const started: LocalProcesses[] = [];
  const start = () => {
    const runtime = new LocalProcesses({
      folder,
      workerScript,
      env: { PATH: process.env.PATH ?? '' },
      clock: systemClock,
      log: silentLog,
    });
    runtime.start();
    started.push(runtime);
    return runtime;
  };
  try {
    await body(folder, start);
  } finally {
    for (const runtime of started) {
      for (const worker of runtime.all()) await runtime.stop(worker, { reason: 'end of test', force: true });
      runtime.close();
    }
    await rm(folder.path, { recursive: true, force: true });
  }
}

const REQUEST = { id: 'desk-aaaaa', ref: { namespace: 'local', pool: 'desk' }, revision: 'r1' };
const only = (runtime: LocalProcesses): RuntimeWorker => {
  const [worker] = runtime.all();
  assert.ok(worker);
  return worker;
};
const serving = (runtime: LocalProcesses) => until('it serves', () => only(runtime).presence === 'serving');

describe('local processes', { timeout: 60_000 }, () => {
  it('adopt a worker whose controller died before it could note the pid', () =>
    withFolder(async (folder, start) => {
      const first = start();
      await first.create(REQUEST);
      await serving(first);
      const record = readRecord(folder, REQUEST.id);
      assert.ok(record?.pid);
      first.close();
      const { pid: _pid, startTicks: _startTicks, ...before } = record;
      writeRecord(folder, before);

      const second = start();
      assert.equal(only(second).presence, 'serving');
      assert.equal(readRecord(folder, REQUEST.id)?.pid, record.pid);
    }));

  it('never take another process for ours because it has the same pid', () =>
    withFolder(async (folder, start) => {
      const stranger: ChildProcess = spawn('sleep', ['30'], { stdio: 'ignore' });
      await once(stranger, 'spawn');
      const identity = identify(stranger.pid ?? 0);
      assert.ok(identity);
      writeRecord(folder, {
        v: 1,
        id: REQUEST.id,
        namespace: 'local',
        pool: 'desk',
        revision: 'r1',
        admission: 'admitting',
        pid: identity.pid,
        startTicks: identity.startTicks - 1,
      });
      const runtime = start();
      assert.equal(only(runtime).presence, 'ended');
      await runtime.stop(REQUEST, { reason: 'test', force: true });
      assert.ok(isRunning(identity));
      stranger.kill('SIGKILL');
    }));

  it('stand in a session of their own, so that a signal to our terminal does not reach them', () =>
    withFolder(async (folder, start) => {
      const runtime = start();
      await runtime.create(REQUEST);
      const pid = readRecord(folder, REQUEST.id)?.pid ?? 0;
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      assert.equal(Number(session), pid);
    }));

  it('notice the end of a child at once and start it again under its own id', () =>
    withFolder(async (_folder, start) => {
      const runtime = start();
      await runtime.create(REQUEST);
      await serving(runtime);
      const before = only(runtime).incarnation;
      assert.ok(before);
      await runtime.stop(REQUEST, { reason: 'test', force: true });
      await until('its end is seen', () => only(runtime).presence === 'ended');
      assert.deepEqual([only(runtime).incarnation, only(runtime).stopping], [before, true]);
      await runtime.restartInPlace(REQUEST.id);
      await serving(runtime);
      assert.notEqual(only(runtime).incarnation, before);
      assert.equal(only(runtime).stopping, false);
    }));

  it('keep the admission across a restart of the controller', () =>
    withFolder(async (_folder, start) => {
      const first = start();
      await first.create(REQUEST);
      await first.mark(REQUEST, 'draining', 'roll-out');
      first.close();
      const second = start();
      assert.deepEqual([only(second).admission, only(second).admissionReason], ['draining', 'roll-out']);
      await until('it serves', () => only(second).presence === 'serving');
    }));

  it('bound a log that its process holds open', () =>
    withFolder(async (folder) => {
      const path = folder.log('x');
      await writeFile(path, 'a'.repeat(2_000));
      trimLog(path, 1_000);
      assert.equal((await readFile(path)).length, 0);
      assert.equal((await readFile(`${path}.1`)).length, 2_000);
      trimLog(path, 1_000);
    }));
});

describe('controller lock', () => {
  it('is refused while its holder lives, and taken from a dead one whose pid another process has now', () =>
    withFolder(async (folder) => {
      const lock = ControllerLock.take(folder.controller);
      assert.throws(() => ControllerLock.take(folder.controller), { code: 'ERR_CONTROLLER_RUNNING' });
      lock.publish(1234);
      assert.equal(JSON.parse(await readFile(folder.controller, 'utf8')).port, 1234);
      lock.release();

      const self = identify(process.pid);
      assert.ok(self);
      await writeFile(folder.controller, JSON.stringify({ ...self, startTicks: self.startTicks - 1, port: 1 }));
      ControllerLock.take(folder.controller).release();
      await writeFile(folder.controller, 'half a fi');
      ControllerLock.take(folder.controller).release();
    }));

  it('raises its fence with each start', () =>
    withFolder(async (folder) => {
      assert.deepEqual([folder.raiseFence(), folder.raiseFence(), folder.raiseFence()], [1, 2, 3]);
    }));
});
