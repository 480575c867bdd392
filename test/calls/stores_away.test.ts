import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identify, isRunning } from '../../platform/processes.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

test('Redis and Cosmos DB are away while a call ends and its worker is told to stop: it waits, and delivers after', async (t) => {
  const fleet = await Fleet.start({ persist: true });
  t.after(() => fleet.stop());
  const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(5, { pauseMs: 300 }) });
  const id = await answeredTurns(call, 2);
  const owner = (await fleet.ownerOf(id))?.worker;
  const running = owner && identify(owner.pid);
  assert.ok(running);
  fleet.azure.cosmos.faults.down = true;
  await fleet.redis.stop();
  await call.done;
  assert.equal(call.record.disconnectedBy, 'caller');
  process.kill(owner.pid, 'SIGTERM');
  await until(async () => (await fleet.status(owner)).state === 'draining', 'it drains');
  await until(
    async () => /^rtvoice_spool_pending [1-9]/m.test(await fleet.metrics(owner)),
    'what nobody takes is on its disk, and told',
  );
  assert.ok((await fleet.status(owner)).dirtyCalls > 0);
  assert.ok(isRunning(running), 'it waits for the stores');

  await fleet.redis.restart({ keepData: true });
  fleet.azure.cosmos.faults.down = false;
  await untilArchived(fleet, id, 60_000);
  await assertWholeTranscript(fleet, id, 5);
  await until(() => !isRunning(running), 'it ends once everything is delivered', 60_000);
});
