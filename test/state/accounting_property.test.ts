import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { turnId } from '../../state/calls/record_ids.ts';
import {
  type ArchiveBench,
  answeredCall,
  newArchiver,
  oversized,
  startArchive,
  type TestArchiver,
} from './archive_bench.ts';
import { conversationOptions, newCallId } from './support.ts';

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
  'ownerDies',
] as const;
/** What stores do; the death of an owner is more than that. */
type StoreStep = Exclude<(typeof STEPS)[number], 'ownerDies'>;

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive({ persist: true });
});
after(() => bench.stop());

async function run(step: StoreStep, manager: ConversationManager): Promise<void> {
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

interface Owner {
  readonly fence: number;
  readonly manager: ConversationManager;
  readonly own: TestArchiver;
}

function archiverOf(worker: string, manager: () => ConversationManager): TestArchiver {
  return newArchiver(bench, worker, {
    archive: oversized(bench.archive, 'poison'),
    owner: {
      archived: (ids) => manager().archived(ids),
      quarantined: (ids) => manager().quarantined(ids),
      missing: () =>
        void manager()
          .persist({ full: true })
          .catch(() => undefined),
    },
  });
}

function noTrouble(): void {
  Object.assign(bench.simulator.faults, { down: false, replyLost: 0, throttle: 0 });
}

async function firstOwner(call: string): Promise<Owner> {
  noTrouble();
  await bench.leases.begin();
  await bench.leases.worker('w-a', 50);
  const own = archiverOf('w-a', () => manager);
  own.start();
  const { manager, lease } = await answeredCall(bench, call, own);
  return { fence: lease.fence, manager, own };
}

/** The owner is gone with its memory, and another takes the call over; undefined when Redis had lost the call before. */
async function nextOwner(call: string, dead: Owner): Promise<Owner | undefined> {
  await dead.own.stop();
  await bench.leases.client.ready();
  const fence = dead.fence + 1;
  const own = archiverOf(`w-${fence}`, () => (outcome.kind === 'loaded' ? outcome.manager : dead.manager));
  const onStored = (id: string, ids: readonly string[]) => own.archiver.nudge(id, ids);
  const outcome = await ConversationManager.fromRedis(conversationOptions(bench.store, fence, { onStored }), call);
  if (outcome.kind !== 'loaded') return undefined;
  const { manager } = outcome;
  own.start();
  own.archiver.track({
    ...{ callConnectionId: call, callRef: manager.session.callRef },
    pendingIds: manager.unarchivedIds,
  });
  return { fence, manager, own };
}

/** Turns that stand in a store now, whatever the owner's memory has. */
async function storedTurns(call: string): Promise<Set<string>> {
  const { history, unarchived } = await bench.store.read(call);
  const archived = bench.simulator
    .documents('rtvoice', 'transcripts')
    .flatMap(({ callConnectionId, id }) => (callConnectionId === call ? [String(id)] : []));
  const quarantined = (await bench.stream.quarantined(call)).map(({ id }) => id);
  return new Set([
    ...history.map(({ seq }) => turnId(seq)),
    ...unarchived.map(({ id }) => id),
    ...archived,
    ...quarantined,
  ]);
}

/** All is well again. One turn more: what was archived and could not be taken out of the stream then goes with it, as at the end of each call. */
async function heal({ manager, own }: Owner, said: Map<string, string>): Promise<void> {
  noTrouble();
  await bench.leases.client.ready();
  await manager.persist();
  await manager.refresh();
  await own.until(() => own.archiver.pending === 0);
  said.set(turnId(manager.appendToHistory('caller', 'the last words').seq), 'the last words');
  await manager.persist();
  await own.until(() => own.archiver.pending === 0);
  await own.stop();
}

test('whatever stores and owners do, every turn is archived, pending or quarantined, once and with its own words', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...STEPS), { minLength: 4, maxLength: 18 }), async (steps) => {
      const call = newCallId();
      let owner = await firstOwner(call);
      const said = new Map<string, string>();
      let emptied = false;
      for (const step of steps) {
        if (step === 'ownerDies') {
          const memory = new Set(owner.manager.unstored.map(({ id }) => id));
          const next = await nextOwner(call, owner);
          // Both copies are gone at once; what the archive has is looked at by other tests.
          if (!next) return;
          const stored = await storedTurns(call);
          const lost = [...said.keys()].filter((id) => !stored.has(id));
          if (!emptied)
            assert.deepEqual(
              lost,
              [...said.keys()].filter((id) => memory.has(id)),
              'memory alone is lost',
            );
          for (const id of lost) said.delete(id);
          owner = next;
          continue;
        }
        await run(step, owner.manager);
        emptied ||= step === 'redisEmptied';
        for (const { seq, text } of owner.manager.history) said.set(turnId(seq), text);
      }
      await heal(owner, said);
      await account(call, owner.manager, said);
    }),
    { numRuns: 15 },
  );
});

async function account(call: string, manager: ConversationManager, said: ReadonlyMap<string, string>): Promise<void> {
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
}
