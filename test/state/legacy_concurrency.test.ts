import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { flatConversation } from '../../state/legacy/testing.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import {
  dump,
  flushed,
  isOurs,
  type LegacyBench,
  migratingStore,
  newMigrator,
  numbered,
  startLegacy,
  talk,
  texts,
  writeFlat,
} from './legacy_support.ts';
import { conversationOptions, newClient, newStore, ttls } from './support.ts';

let bench: LegacyBench;
before(async () => {
  bench = await startLegacy();
});
after(() => bench[Symbol.asyncDispose]());
beforeEach(() => flushed(bench.client));

const isOutbox = (key: string) => key.endsWith(':outbox');
function migrating() {
  return migratingStore(newStore(bench.client, bench.keys), newMigrator(bench.client, bench.keys));
}

/** Several stores that are as well separate processes: each has a client of its own. */
async function readers(
  count: number,
): Promise<{ clients: RedisClient[]; stores: ReturnType<typeof migratingStore>[] }> {
  const clients = Array.from({ length: count }, () => newClient(bench.redis, 'patient'));
  await Promise.all(clients.map((client) => client.ready()));
  const stores = clients.map((client) => migratingStore(newStore(client, bench.keys), newMigrator(client, bench.keys)));
  return { clients, stores };
}

/** Contents of the outbox streams: their ids are times. */
async function outboxes(client: RedisClient): Promise<Map<string, string[][]>> {
  const keys = (await client.command<string[]>('KEYS', '*:outbox')).sort();
  const items = await Promise.all(keys.map((key) => client.command<[string, string[]][]>('XRANGE', key, '-', '+')));
  return new Map(keys.map((key, index) => [key, (items[index] ?? []).map(([, fields]) => fields)]));
}

describe('many at once', () => {
  test('many readers of a generated store make the same records as one after the other', async (t) => {
    const conversations = fc.sample(flatConversation(), { numRuns: 40, seed: 11 });
    const unique = [...new Map(conversations.map((each) => [each.id, each])).values()];
    const write = async () => {
      await flushed(bench.client);
      for (const each of unique) await writeFlat(bench.client, each);
    };
    await write();
    const single = migrating();
    for (const { id } of unique) assert.ok((await single.read(id)).session, JSON.stringify(id));
    const expected = await dump(bench.client, (key) => isOurs(key) && !isOutbox(key));
    const expectedOutboxes = await outboxes(bench.client);
    assert.ok(expected.size > unique.length * 2);

    const { clients, stores } = await readers(4);
    t.after(() => Promise.all(clients.map((client) => client.close())));
    await write();
    await Promise.all(
      stores.map(async (store, at) => {
        // Each begins elsewhere, so that any two meet at some conversation.
        const order = [...unique.slice(at * 7), ...unique.slice(0, at * 7)];
        const calls = await Promise.all(order.map(({ id }) => store.read(id)));
        for (const call of calls) assert.ok(call.session);
      }),
    );
    assert.deepEqual(await dump(bench.client, (key) => isOurs(key) && !isOutbox(key)), expected);
    assert.deepEqual(await outboxes(bench.client), expectedOutboxes);
    for (const [key, seconds] of await ttls(bench.client)) assert.ok(seconds > 0, `${key} has no TTL`);
  });

  test('of many owners that claim at once the highest fence has the conversation, whole', async (t) => {
    const { clients, stores } = await readers(4);
    t.after(() => Promise.all(clients.map((client) => client.close())));
    for (let round = 0; round < 10; round++) {
      const id = `call-${round}`;
      await writeFlat(bench.client, talk(id, numbered(30)));
      const claims = await Promise.all(
        stores.map((store, at) => store.claim({ callConnectionId: id, ...conversationOptions(store, at + 1).owner })),
      );
      const claimed = claims.flatMap((claim) => (claim.kind === 'claimed' ? [claim.call] : []));
      assert.equal(claims.at(-1)?.kind, 'claimed');
      for (const call of claimed) assert.deepEqual(texts(call), numbered(30));
      const outbox = (await outboxes(bench.client)).get(`rtvoice:test:call:${id}:outbox`);
      assert.equal(outbox?.length, 30);
    }
  });
});

/** Lets a number of commands of the migration through and then dies as a process does: nothing that follows is sent. */
function dying(client: RedisClient, allowed: number): RedisClient {
  let left = allowed;
  return new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'run' || name === 'runBuffer') {
          if (left <= 0) throw new Error('killed');
          left -= 1;
        }
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

test('a reader that dies between any two steps is continued by the next one', async () => {
  const flat = talk('call-1', numbered(650));
  await writeFlat(bench.client, flat);
  const expectedCall = await migrating().read('call-1');
  const expected = await dump(bench.client, (key) => isOurs(key) && !isOutbox(key));
  let died = 0;
  for (let steps = 1; ; steps++) {
    await flushed(bench.client);
    await writeFlat(bench.client, flat);
    const store = newStore(bench.client, bench.keys);
    const outcome = await newMigrator(dying(bench.client, steps), bench.keys)
      .migrate('call-1')
      .catch((error: Error) => error);
    if (!(outcome instanceof Error)) break;
    died += 1;
    const call = await migratingStore(store, newMigrator(bench.client, bench.keys)).read('call-1');
    assert.deepEqual(call, expectedCall, `died after ${steps} steps`);
    assert.deepEqual(await dump(bench.client, (key) => isOurs(key) && !isOutbox(key)), expected);
    for (const [key, seconds] of await ttls(bench.client))
      assert.ok(seconds > 0, `${key} has no TTL after ${steps} steps`);
  }
  // Reads, three appended parts, the migration, the grace time.
  assert.ok(died >= 15, `died only ${died} times`);
});
