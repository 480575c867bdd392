import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/calls_worker.ts';
import { Fleet, type FleetWorker } from '../support/fleet.ts';
import { answeredTurns, archivedCallerTurns, code, codes, untilArchived } from '../support/story.ts';

async function pendingInSpool(fleet: Fleet, worker: FleetWorker): Promise<number> {
  return Number(/^rtvoice_spool_pending (\d+)$/m.exec(await fleet.metrics(worker))?.[1]);
}

test('a worker killed while Redis is away: what was said until then reaches the archive through its spool', async (t) => {
  const fleet = await Fleet.start({ persist: true, azure: { mediaRedial: 'once' } });
  t.after(() => fleet.stop());
  const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(16, { pauseMs: 300 }) });
  const id = await answeredTurns(call, 2);
  const owner = (await fleet.ownerOf(id))?.worker;
  assert.ok(owner);
  await fleet.redis.stop();
  const before = call.answeredTurns;
  // A turn is two records, the caller's and the answer; both of a turn that was answered before the count are on the disk.
  await until(async () => (await pendingInSpool(fleet, owner)) >= 8, 'turns are spooled');
  const said = call.answeredTurns;
  assert.ok(said > before + 1);
  await until(
    async () => (await pendingInSpool(fleet, owner)) >= 2 * (said - before),
    'all that was answered is spooled',
  );
  process.kill(owner.pid, 'SIGKILL');
  await fleet.redis.restart({ keepData: true });

  await untilArchived(fleet, id, 90_000);
  const heard = new Set(await archivedCallerTurns(fleet, id));
  const missing = Array.from({ length: said }, (_, n) => code(n + 1)).filter((each) => !heard.has(each));
  assert.deepEqual(missing, []);
  const spools = join(fleet.dir, 'spool');
  await until(
    () => !existsSync(spools) || !readdirSync(spools).some((name) => name.startsWith(`spool-${owner.pid}-`)),
    'the spool of the dead worker is gone',
  );
});
