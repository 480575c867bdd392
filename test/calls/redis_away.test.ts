import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatedCall } from '../../simulators/azure.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, archivedCallerTurns, code, codes, untilArchived } from '../support/story.ts';

/** Three times the lease (15 s), and longer than the grace for rings (30 s). */
const AWAY_MS = 45_000;

type Outage = { name: string; begin(fleet: Fleet): Promise<void> | void; end(fleet: Fleet): Promise<void> | void };

const OUTAGES: readonly Outage[] = [
  {
    name: 'stopped, its data kept',
    begin: ({ redis }) => redis.stop(),
    end: ({ redis }) => redis.restart({ keepData: true }),
  },
  {
    name: 'stopped, back empty',
    begin: ({ redis }) => redis.stop(),
    end: ({ redis }) => redis.restart({ keepData: false }),
  },
  { name: 'frozen', begin: ({ redis }) => redis.freeze(), end: ({ redis }) => redis.thaw() },
];

describe('Redis away for three leases', { concurrency: 3 }, () => {
  for (const outage of OUTAGES) {
    test(`conversations go on while Redis is ${outage.name}`, async () => {
      const fleet = await Fleet.start({ persist: true, azure: { mediaRedial: 'once' } });
      try {
        await story(fleet, outage);
      } finally {
        await fleet.stop();
      }
    });
  }
});

/** Calls whose script is longer than the outage; each says a code about every two seconds. */
const LONG = 30;

async function story(fleet: Fleet, outage: Outage): Promise<void> {
  const place = (turns: number) =>
    fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(turns, { pauseMs: 1_800 }) });
  const before = [place(LONG), place(LONG)];
  const ids = await Promise.all(before.map((call) => answeredTurns(call, 2)));
  const owners = await Promise.all(ids.map((id) => fleet.ownerOf(id)));

  const startMs = performance.now();
  await outage.begin(fleet);
  // Within the grace the receiver takes a ring by itself.
  await delay(5_000);
  const within = place(3);
  const withinId = await answeredTurns(within, 1, 20_000);
  await until(() => performance.now() - startMs > 36_000, 'the grace is over', 40_000);
  const late = place(2);
  await until(() => late.ringStatuses.includes(503), 'a ring after the grace gets 503', 15_000);
  await until(() => performance.now() - startMs > AWAY_MS, 'the outage has lasted', 30_000);
  const during = before.map((call) => call.answeredTurns);
  assert.ok(
    during.every((turns) => turns > 10),
    `turns went on during the outage: ${during.join(', ')}`,
  );
  await outage.end(fleet);

  await Promise.all([...before, within].map((call) => call.done));
  await assertNothingLost(fleet, [...before, within], [...ids, withinId]);
  const after = await Promise.all(owners.map(async (owner) => owner && (await fleet.status(owner.worker)).incarnation));
  assert.deepEqual(
    after,
    owners.map((owner) => owner?.worker.incarnation),
    'no worker was restarted',
  );
  await assertNoTakeovers(fleet);
  await late.hangUp();
}

async function assertNothingLost(fleet: Fleet, calls: readonly SimulatedCall[], ids: readonly string[]): Promise<void> {
  for (const [index, id] of ids.entries()) {
    await untilArchived(fleet, id, 60_000);
    const turns = calls[index]?.answeredTurns ?? 0;
    assert.deepEqual(
      await archivedCallerTurns(fleet, id),
      Array.from({ length: turns }, (_, n) => code(n + 1)),
    );
  }
}

async function assertNoTakeovers(fleet: Fleet): Promise<void> {
  for (const worker of fleet.workers()) {
    const page = await fleet.metrics(worker);
    const taken = [...page.matchAll(/^rtvoice_takeovers_total\{[^}]*result="here"[^}]*\} (\d+)/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
    assert.equal(taken, 0, 'no call changed its owner');
  }
}
