import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identify, isRunning } from '../../platform/processes.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, summaryOf, untilArchived } from '../support/story.ts';

const TURNS = 6;

describe('a killed owner', () => {
  for (const mediaRedial of ['never', 'once', 'backOffThenFail'] as const) {
    test(`the call goes on elsewhere when ACS dials again: ${mediaRedial}`, async () => {
      const fleet = await Fleet.start({ azure: { mediaRedial } });
      try {
        const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(TURNS, { pauseMs: 1_200 }) });
        const id = await answeredTurns(call, 2);
        const before = await fleet.ownerOf(id);
        assert.ok(before);
        process.kill(before.worker.pid, 'SIGKILL');
        const record = await call.done;
        assert.equal(
          record.disconnectedBy,
          'caller',
          'the caller hung up at the end of the script; nobody cut the call',
        );
        await untilArchived(fleet, id);
        // It was killed between two turns: nothing at all is missing. In a turn, the keys that the dead worker had heard are gone.
        await assertWholeTranscript(fleet, id, TURNS);
        const workers = (await summaryOf(fleet, id))?.workers as string[];
        assert.equal(workers.length, 2);
        assert.equal(workers[0], before.worker.id);
      } finally {
        await fleet.stop();
      }
    });
  }
});

test('a frozen owner is superseded and writes nothing when it thaws', async () => {
  const fleet = await Fleet.start({ azure: { mediaRedial: 'once' } });
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(TURNS, { pauseMs: 1_200 }) });
    const id = await answeredTurns(call, 2);
    const before = await fleet.ownerOf(id);
    assert.ok(before);
    process.kill(before.worker.pid, 'SIGSTOP');
    call.dropMedia();
    await answeredTurns(call, 4);
    const now = await fleet.ownerOf(id);
    assert.ok(now && now.worker.id !== before.worker.id);
    assert.ok(now.call.fence > before.call.fence);
    process.kill(before.worker.pid, 'SIGCONT');
    await until(async () => {
      const status = await fleet.status(before.worker).catch(() => undefined);
      return status !== undefined && status.calls.length === 0;
    }, 'the thawed owner has let the call go');
    await call.done;
    await untilArchived(fleet, id);
    await assertWholeTranscript(fleet, id, TURNS);
  } finally {
    await fleet.stop();
  }
});

test('a worker that restarts under its id takes its calls back under new fences', async () => {
  const fleet = await Fleet.start({ azure: { mediaRedial: 'never' }, spec: { minWorkers: 1, maxWorkers: 1 } });
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(TURNS, { pauseMs: 1_200 }) });
    const id = await answeredTurns(call, 2);
    const before = await fleet.ownerOf(id);
    assert.ok(before);
    const env = fleet.environmentOf(before.worker);
    await fleet.killController();
    process.kill(before.worker.pid, 'SIGKILL');
    await until(() => identify(before.worker.pid) === undefined, 'the worker is gone');
    const child = spawn(process.execPath, [fileURLToPath(new URL('../../worker/main.ts', import.meta.url))], {
      env,
      stdio: 'ignore',
    });
    try {
      // Its address stays the same in a cluster; here the front finds it by the runtime's note, which the dead controller cannot write.
      fleet.noteProcess(before.worker.id, child.pid ?? 0);
      await call.done;
      const after = (await fleet.workers()).find((worker) => worker.id === before.worker.id);
      assert.notEqual(after?.incarnation, before.worker.incarnation);
      await untilArchived(fleet, id);
      await assertWholeTranscript(fleet, id, TURNS);
    } finally {
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      if (identity && isRunning(identity)) {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
    }
  } finally {
    await fleet.stop();
  }
});
