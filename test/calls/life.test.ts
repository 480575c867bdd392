import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identify, isRunning } from '../../platform/processes.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

test('SIGTERM with calls: nothing is cut, new calls go elsewhere, the worker exits when the last call has ended', async () => {
  const fleet = await Fleet.start();
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(5, { pauseMs: 400 }) });
    const id = await answeredTurns(call, 1);
    const owner = await fleet.ownerOf(id);
    assert.ok(owner);
    const identity = identify(owner.worker.pid);
    assert.ok(identity);
    process.kill(owner.worker.pid, 'SIGTERM');
    await until(async () => (await fleet.status(owner.worker)).state === 'draining', 'it drains');
    const next = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(1) });
    const nextId = await answeredTurns(next, 1);
    const nextOwner = await fleet.ownerOf(nextId);
    if (nextOwner) assert.notEqual(nextOwner.worker.id, owner.worker.id);
    assert.ok(isRunning(identity), 'it stays for its call');
    const record = await call.done;
    assert.equal(record.disconnectedBy, 'caller');
    await until(() => !isRunning(identity), 'the worker has exited', 30_000);
    await untilArchived(fleet, id);
    await assertWholeTranscript(fleet, id, 5);
    const figures = fleet.azure.cosmos.documents('rtvoice', 'metrics') as { worker?: string; pool?: string }[];
    const last = figures.find(({ worker }) => worker === owner.worker.id);
    assert.equal(last?.pool, 'local.desk', 'its last figures are in the archive');
  } finally {
    await fleet.stop();
  }
});

test('a ring that comes twice, late, and after the end of its call is answered once', async () => {
  const fleet = await Fleet.start();
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(2), faults: { duplicateRing: true } });
    const record = await call.done;
    assert.equal(record.answers, 1);
    await call.ringAgain();
    await untilArchived(fleet, record.callConnectionId ?? '');
    await call.ringAgain();
    const statuses = await Promise.all(fleet.workers().map((worker) => fleet.status(worker)));
    assert.equal(statuses.flatMap((status) => status.calls).length, 0, 'no ghost call');
    assert.equal(record.answers, 1);
  } finally {
    await fleet.stop();
  }
});

for (const action of ['Reject', 'Redirect'] as const) {
  test(`no free slot: the call is ${action === 'Reject' ? 'rejected busy' : 'redirected'}, and counted`, async () => {
    const overflow = action === 'Reject' ? { action } : { action, redirectTo: '+15550123' };
    const fleet = await Fleet.start({ spec: { slotsPerWorker: 1, minWorkers: 1, maxWorkers: 1, overflow } });
    try {
      const first = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(3, { pauseMs: 1_000 }) });
      await answeredTurns(first, 1);
      const second = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(1) });
      const record = await second.done;
      assert.equal(record.outcome, action === 'Reject' ? 'rejected' : 'redirected');
      const [worker] = fleet.workers();
      assert.ok(worker);
      await until(
        async () => /rtvoice_call_setups_total\{result="refused"[^}]*\} 1\n/.test(await fleet.metrics(worker)),
        'the refusal is counted',
      );
      await first.done;
    } finally {
      await fleet.stop();
    }
  });
}

test('the controller away for longer than every lease and affinity record: calls come and go', async () => {
  const fleet = await Fleet.start({ env: { RTVOICE_AFFINITY_SECONDS: '30' } });
  try {
    await fleet.killController();
    const endMs = performance.now() + 95_000;
    let calls = 0;
    while (performance.now() < endMs) {
      const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(2, { pauseMs: 500 }) });
      const record = await call.done;
      assert.equal(record.outcome, 'answered');
      await untilArchived(fleet, record.callConnectionId ?? '');
      calls += 1;
    }
    assert.ok(calls > 10);
    await fleet.startController();
    await until(async () => (await fleet.serving()) === 2, 'the new controller keeps both workers');
  } finally {
    await fleet.stop();
  }
});
