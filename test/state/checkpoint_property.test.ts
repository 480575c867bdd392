import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { errorCode } from '../../platform/errors.ts';
import type { ConversationManager } from '../../state/calls/conversation_manager.ts';
import type { CallStore, Checkpoint } from '../../state/ports.ts';
import { REDIS_TIMEOUT } from '../../state/redis/errors.ts';
import { loaded, newCallId, type StateBench, startCall, startState, ttls } from './support.ts';

type Fault = 'none' | 'requestLost' | 'replyLost';
type Step =
  /** `who` 0 is the newest owner, 1 the one before it, which does not know yet that it was replaced. */
  | { op: 'say' | 'context'; who: 0 | 1 }
  | { op: 'persist'; who: 0 | 1; fault: Fault }
  /** An old request that the network delivers once more. */
  | { op: 'redeliver'; pick: number }
  | { op: 'takeOver' }
  /** Redis is emptied; the old owner may write first, then the newest re-asserts. */
  | { op: 'emptied'; zombieFirst: boolean };

const who = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom<'say' | 'context'>('say', 'context'), who }) },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant<'persist'>('persist'),
      who,
      fault: fc.constantFrom<Fault>('none', 'requestLost', 'replyLost'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant<'redeliver'>('redeliver'), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant<'takeOver'>('takeOver') }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant<'emptied'>('emptied'), zombieFirst: fc.boolean() }) },
);

/** The real store behind a network that may lose a request or a reply, and remembers what was sent. */
class LossyStore implements CallStore {
  fault: Fault = 'none';
  readonly sent: Checkpoint[] = [];
  readonly #store: CallStore;

  constructor(store: CallStore) {
    this.#store = store;
  }

  async checkpoint(checkpoint: Checkpoint): ReturnType<CallStore['checkpoint']> {
    this.sent.push(structuredClone(checkpoint));
    if (this.fault === 'requestLost') throw REDIS_TIMEOUT.with('request lost');
    const outcome = await this.#store.checkpoint(checkpoint);
    if (this.fault === 'replyLost') throw REDIS_TIMEOUT.with('reply lost');
    return outcome;
  }

  claim(request: Parameters<CallStore['claim']>[0]): ReturnType<CallStore['claim']> {
    return this.#store.claim(request);
  }

  refresh(request: Parameters<CallStore['refresh']>[0]): ReturnType<CallStore['refresh']> {
    return this.#store.refresh(request);
  }

  read(callConnectionId: string): ReturnType<CallStore['read']> {
    return this.#store.read(callConnectionId);
  }
}

class World {
  readonly call = newCallId();
  readonly store: LossyStore;
  readonly owners: ConversationManager[];
  /** `<id> <text>` of every turn whose write was confirmed to its owner. */
  readonly accepted = new Set<string>();
  readonly said = new Set<string>();
  #count = 0;

  constructor(store: CallStore) {
    this.store = new LossyStore(store);
    this.owners = [startCall(this.store, this.call)];
  }

  owner(who: 0 | 1): ConversationManager {
    const found = this.owners.at(-1 - who) ?? this.owners[0];
    assert.ok(found);
    return found;
  }

  async run(step: Step): Promise<void> {
    switch (step.op) {
      case 'say': {
        const { seq, text } = this.owner(step.who).appendToHistory('caller', `text ${this.#count++}`);
        this.said.add(`${seq} ${text}`);
        return;
      }
      case 'context':
        this.owner(step.who).updateContext({ count: this.#count++ });
        return;
      case 'persist':
        return this.persist(this.owner(step.who), step.fault);
      case 'redeliver': {
        const again = this.store.sent[step.pick % Math.max(1, this.store.sent.length)];
        if (again) await bench.store.checkpoint(again);
        return;
      }
      case 'takeOver':
        await this.persist(this.owner(0), 'none');
        this.owners.push(await loaded(this.store, this.call, this.owners.length + 1));
        return;
      case 'emptied':
        await this.empty();
        if (step.zombieFirst && this.owners.length > 1) await this.persist(this.owner(1), 'none', true);
        return this.persist(this.owner(0), 'none', true);
    }
  }

  async persist(manager: ConversationManager, fault: Fault, full = false): Promise<void> {
    this.store.fault = fault;
    const turns = manager.history.map(({ seq, text }) => `${seq} ${text}`);
    try {
      await manager.persist({ full });
      for (const turn of turns) this.accepted.add(turn);
    } catch (error) {
      // Only what the network did, or being replaced, may stop a write.
      const allowed = manager === this.owners.at(-1) ? ['ERR_REDIS_TIMEOUT'] : ['ERR_REDIS_TIMEOUT', 'ERR_CALL_FENCED'];
      assert.ok(allowed.includes(errorCode(error)), String(error));
    } finally {
      this.store.fault = 'none';
    }
  }

  async empty(): Promise<void> {
    const { client } = bench;
    const keys = (await client.command<string[]>('KEYS', `*${this.call}*`)) ?? [];
    if (keys.length > 0) await client.command('DEL', ...keys);
  }
}

let bench: StateBench;
before(async () => {
  bench = await startState();
});
after(() => bench[Symbol.asyncDispose]());

test('whatever two owners, lost and repeated messages and an emptied Redis do, the newest fence stands whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = new World(bench.store);
      for (const each of steps) {
        await world.run(each);
        const seqs = (await bench.store.read(world.call)).history.map(({ seq }) => seq);
        assert.deepEqual(
          seqs,
          seqs.map((_, index) => (seqs[0] ?? 0) + index),
          'history has a gap, a repeat or another order',
        );
      }
      const newest = world.owner(0);
      await newest.persist();
      const stored = await bench.store.read(world.call);
      // A call that nobody has touched since an emptied store has nothing to write.
      assert.deepEqual(stored.history, newest.history);
      assert.deepEqual(stored.context, newest.context);
      assert.deepEqual(stored.session, newest.session);

      const outbox = stored.unarchived.map(({ body }) => `${body.seq} ${body.text}`);
      assert.equal(new Set(outbox).size, outbox.length, 'a turn stands twice in the outbox');
      const kept = new Set(outbox);
      for (const turn of newest.history)
        assert.ok(kept.has(`${turn.seq} ${turn.text}`), 'a turn of the newest owner is not in the outbox');
      for (const turn of outbox) assert.ok(world.said.has(turn), 'a turn nobody said');
      const positions = newest.history.map(({ seq, text }) => outbox.indexOf(`${seq} ${text}`));
      assert.deepEqual(
        positions,
        [...positions].sort((a, b) => a - b),
        'the outbox changed the order',
      );

      const keys = [...(await ttls(bench.client))];
      assert.deepEqual(
        keys.filter(([, ttl]) => ttl < 0),
        [],
        'a key without TTL',
      );
      await bench.client.command('FLUSHALL');
    }),
    { numRuns: 150 },
  );
});

test('without an emptied Redis every confirmed turn of any owner is in the outbox once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        step.filter(({ op }) => op !== 'emptied'),
        { minLength: 5, maxLength: 40 },
      ),
      async (steps) => {
        const world = new World(bench.store);
        for (const each of steps) await world.run(each);
        const outbox = (await bench.store.read(world.call)).unarchived.map(({ body }) => `${body.seq} ${body.text}`);
        for (const turn of world.accepted) assert.equal(outbox.filter((each) => each === turn).length, 1, turn);
        await bench.client.command('FLUSHALL');
      },
    ),
    { numRuns: 100 },
  );
});
