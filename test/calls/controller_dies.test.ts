import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identify, isRunning } from '../../platform/processes.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

test('killing the controller kills no worker, no front and no call; a new one adopts them', async () => {
  const fleet = await Fleet.start();
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(6, { pauseMs: 800 }) });
    const id = await answeredTurns(call, 1);
    const before = fleet.workers();
    const identities = before.map(({ pid }) => identify(pid));
    await fleet.killController();
    await answeredTurns(call, 3);
    const next = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(1) });
    assert.equal((await next.done).outcome, 'answered', 'calls are placed without a controller');
    await fleet.startController();
    await until(async () => (await fleet.readyWorkers()) === 2, 'the new controller sees both workers');
    const record = await call.done;
    assert.equal(record.mediaConnects, 1, 'the media socket was never cut');
    assert.equal(record.disconnectedBy, 'caller');
    assert.ok(identities.every((identity) => identity !== undefined && isRunning(identity)));
    assert.deepEqual(
      fleet
        .workers()
        .map(({ id: worker }) => worker)
        .sort(),
      before.map(({ id: worker }) => worker).sort(),
    );
    await untilArchived(fleet, id);
    await assertWholeTranscript(fleet, id, 6);
  } finally {
    await fleet.stop();
  }
});

test('scale-down drains before it stops a worker: its call goes on to its end', async () => {
  const fleet = await Fleet.start({ spec: { minWorkers: 1, maxWorkers: 2, scaling: { mode: 'External' } } });
  try {
    await fleet.controllerApi('POST', '/pools/desk/scale', { replicas: 2 });
    await until(async () => (await fleet.readyWorkers()) === 2, 'two workers admit calls', 30_000);
    const calls = [0, 1].map(() =>
      fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(8, { pauseMs: 700 }) }),
    );
    const ids = await Promise.all(calls.map((call) => answeredTurns(call, 1)));
    await fleet.controllerApi('POST', '/pools/desk/scale', { replicas: 1 });
    await until(
      async () =>
        (await Promise.all(fleet.workers().map((worker) => fleet.status(worker).catch(() => undefined)))).some(
          (status) => status?.state === 'draining',
        ),
      'one worker drains',
    );
    const records = await Promise.all(calls.map((call) => call.done));
    for (const record of records) {
      assert.equal(record.disconnectedBy, 'caller');
      assert.equal(record.mediaConnects, 1);
    }
    await until(() => fleet.workers().length === 1, 'the drained worker is gone', 30_000);
    for (const id of ids) {
      await untilArchived(fleet, id);
      await assertWholeTranscript(fleet, id, 8);
    }
  } finally {
    await fleet.stop();
  }
});
