import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { turnId } from '../../state/calls/record_ids.ts';
import type { CallArchive } from '../../state/outbox/ports.ts';
import { type ArchiveBench, answeredCall, newArchiver, startArchive, type TestArchiver } from './archive_bench.ts';
import { newCallId } from './support.ts';

const STEPS = [
  'say',
  'say',
  'say',
  'persist',
  'persist',
  'poison',
  'cosmosDown',
  'cosmosUp',
  'cosmosForgetsReplies',
  'cosmosThrottles',
  'redisEmptied',
  'redisRestarts',
  'redisKilled',
] as const;

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive({ persist: true });
});
after(() => bench.stop());

/** The archive refuses what is marked: as a document beyond the size limit, which a turn of ours cannot reach. */
function refusing(archive: CallArchive): CallArchive {
  return {
    readCall: (id) => archive.readCall(id),
    recordIds: (id) => archive.recordIds(id),
    write: (record) =>
      archive.write(
        record.body.text === 'poison' ? { ...record, body: { ...record.body, pad: 'x'.repeat(2_200_000) } } : record,
      ),
  };
}

async function run(step: (typeof STEPS)[number], manager: ConversationManager): Promise<void> {
  const { redis, simulator } = bench;
  switch (step) {
    case 'say':
    case 'poison':
      manager.appendToHistory('caller', step === 'poison' ? 'poison' : `text ${manager.session.nextSeq}`);
      return;
    case 'persist':
      await manager.persist().catch((error) => assert.match(error.code, /^ERR_REDIS_/));
      return;
    case 'cosmosDown':
      simulator.faults.down = true;
      return;
    case 'cosmosUp':
      simulator.faults.down = false;
      return;
    case 'cosmosForgetsReplies':
      simulator.faults.replyLost = 2;
      return;
    case 'cosmosThrottles':
      simulator.faults.throttle = 3;
      return;
    case 'redisEmptied':
      return redis.flush();
    case 'redisRestarts':
      return redis.restart();
    case 'redisKilled':
      await redis.kill();
      return redis.restart();
  }
}

async function heal(manager: ConversationManager, own: TestArchiver): Promise<void> {
  Object.assign(bench.simulator.faults, { down: false, replyLost: 0, throttle: 0 });
  await bench.leases.client.ready();
  await manager.persist();
  await manager.refresh();
  await own.until(() => own.archiver.pending === 0);
  await own.stop();
}

test('whatever the stores do, every turn is archived, pending or quarantined, once and with its own words', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...STEPS), { minLength: 4, maxLength: 16 }), async (steps) => {
      await bench.leases.begin();
      await bench.leases.worker('w-a', 50);
      const call = newCallId();
      const own = newArchiver(bench, 'w-a', {
        archive: refusing(bench.archive),
        owner: {
          archived: (ids) => manager.archived(ids),
          quarantined: (ids) => manager.quarantined(ids),
          missing: () => void manager.persist({ full: true }).catch(() => undefined),
        },
      });
      own.start();
      const { manager } = await answeredCall(bench, call, own);
      const said = new Map<string, string>();
      for (const step of steps) {
        await run(step, manager);
        for (const { seq, text } of manager.history) said.set(turnId(seq), text);
      }
      await heal(manager, own);

      assert.equal(manager.unarchivedCount, 0);
      const archived = (await bench.archive.readCall(call)).turns;
      const pending = (await bench.store.read(call)).unarchived;
      const quarantined = await bench.stream.quarantined(call);
      const ids = [...archived, ...pending, ...quarantined].map(({ id }) => id);
      assert.deepEqual(ids.sort(), [...said.keys()].sort(), 'accepted = archived + pending + quarantined, each once');
      for (const { id, text } of archived) assert.equal(text, said.get(id));
      assert.deepEqual(
        quarantined.map(({ id }) => said.get(id)),
        quarantined.map(() => 'poison'),
      );
    }),
    { numRuns: 10 },
  );
});
