import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { callKeys } from '../../state/calls/keys.ts';
import { ENVELOPE_VERSION } from '../../state/envelope.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { OutboxStream } from '../../state/outbox/stream.ts';
import type { Checkpoint, HistoryEntry, OutboxEntry } from '../../state/ports.ts';
import { startRedis } from '../support/redis.ts';
import { newCallId, newClient, newStore, owner, type StateBench, startState, ttls } from './support.ts';

let bench: StateBench;
before(async () => {
  bench = await startState({ maxHistory: 5 });
});
after(() => bench[Symbol.asyncDispose]());

function entry(seq: number): HistoryEntry {
  return { seq, role: seq % 2 ? 'caller' : 'assistant', text: `text ${seq}`, atMs: seq };
}

function turn(seq: number): OutboxEntry {
  return { id: `turn-${seq}`, kind: 'turn', body: { ...entry(seq) } };
}

function checkpoint(
  id: string,
  fields: { seqs: number[]; fence?: number; incarnation?: string; writeId: number; full?: boolean },
): Checkpoint {
  const { seqs, fence = 1, incarnation = `inc-${fence}`, writeId, full = false } = fields;
  const session = {
    v: 1,
    callRef: 'ref12345',
    callConnectionId: id,
    correlationId: 'c',
    serverCallId: 's',
    from: 'f',
    to: 't',
    startedAtMs: 1,
    state: 'connected',
    recentEventIds: [],
    dialogue: null,
    nextSeq: (seqs.at(-1) ?? 0) + 1,
  };
  return {
    callConnectionId: id,
    callRef: 'ref12345',
    fence,
    incarnation,
    writeId,
    session,
    context: { writeId },
    history: seqs.map(entry),
    outbox: seqs.map(turn),
    full,
  };
}

test('an unknown call reads as nothing', async () => {
  assert.deepEqual(await bench.store.read(newCallId()), {
    session: undefined,
    context: {},
    history: [],
    unarchived: [],
  });
});

test('a checkpoint is read back whole, and every key it wrote has a TTL', async () => {
  const id = newCallId();
  const written = checkpoint(id, { seqs: [1, 2], writeId: 1 });
  assert.deepEqual(await bench.store.checkpoint(written), { kind: 'written' });
  const call = await bench.store.read(id);
  assert.deepEqual(call, {
    session: written.session,
    context: written.context,
    history: written.history,
    unarchived: written.outbox,
  });
  const found = [...(await ttls(bench.client))].filter(([key]) => key.includes(id));
  for (const [key] of found) assert.ok(bench.keys.parse(key), `${key} is not in the key grammar`);
  assert.deepEqual(
    found.filter(([, ttl]) => ttl <= 0),
    [],
  );
  assert.deepEqual(
    new Map(found.map(([key, ttl]) => [key.split(':').at(-1), Math.round(ttl / 60)])),
    new Map([
      ...found.map(([key]) => [key.split(':').at(-1), 0] as const),
      ['session', 120],
      ['context', 30],
      ['history', 120],
      ['outbox', 10_080],
      ['outbox_ids', 10_080],
      ['fence', 10_080],
    ]),
  );
});

test('the same write again changes nothing', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  const again = { ...checkpoint(id, { seqs: [1], writeId: 1 }), context: { other: true } };
  assert.deepEqual(await bench.store.checkpoint(again), { kind: 'repeated', lastWriteId: 1 });
  assert.deepEqual((await bench.store.read(id)).context, { writeId: 1 });
});

test('turns sent again under a new write id stand once', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1, 2], writeId: 1 }));
  assert.deepEqual(await bench.store.checkpoint(checkpoint(id, { seqs: [1, 2, 3], writeId: 2 })), { kind: 'written' });
  const call = await bench.store.read(id);
  assert.deepEqual(
    call.history.map((each) => each.seq),
    [1, 2, 3],
  );
  assert.deepEqual(
    call.unarchived.map((each) => each.id),
    ['turn-1', 'turn-2', 'turn-3'],
  );
});

test('an older fence, and the same fence from another incarnation, write nothing', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  assert.equal((await bench.store.claim({ callConnectionId: id, ...owner(3) })).kind, 'claimed');
  const before = await bench.store.read(id);
  assert.deepEqual(await bench.store.checkpoint(checkpoint(id, { seqs: [1, 2], writeId: 2 })), {
    kind: 'fenced',
    storedFence: 3,
  });
  const twin = checkpoint(id, { seqs: [1, 2], writeId: 2, fence: 3, incarnation: 'other' });
  assert.deepEqual(await bench.store.checkpoint(twin), { kind: 'fenced', storedFence: 3 });
  assert.equal(await bench.store.refresh({ callConnectionId: id, ...owner(1) }), 'fenced');
  assert.equal(await bench.store.refresh({ callConnectionId: id, ...owner(3, 'other') }), 'fenced');
  assert.deepEqual(await bench.store.read(id), before);
});

test('claim is refused by a higher fence and by the same fence of another incarnation, and may be repeated', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 4, fence: 2 }));
  assert.deepEqual(await bench.store.claim({ callConnectionId: id, ...owner(1) }), { kind: 'refused', storedFence: 2 });
  assert.deepEqual(await bench.store.claim({ callConnectionId: id, ...owner(2, 'x') }), {
    kind: 'refused',
    storedFence: 2,
  });
  const again = await bench.store.claim({ callConnectionId: id, ...owner(2) });
  assert.equal(again.kind === 'claimed' && again.lastWriteId, 4);
  const next = await bench.store.claim({ callConnectionId: id, ...owner(3) });
  assert.equal(next.kind === 'claimed' && next.lastWriteId, 0);
  assert.equal(next.kind === 'claimed' && next.call.history.length, 1);
});

test('a newer fence that has not claimed is told so', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  assert.deepEqual(await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1, fence: 2 })), {
    kind: 'unclaimed',
    storedFence: 1,
  });
});

test('a delta that does not join what Redis holds is refused, a full one replaces it', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  assert.deepEqual(await bench.store.checkpoint(checkpoint(id, { seqs: [3], writeId: 2 })), {
    kind: 'gap',
    storedSeq: 1,
  });
  await bench.store.checkpoint(checkpoint(id, { seqs: [3, 4], writeId: 3, full: true }));
  assert.deepEqual(
    (await bench.store.read(id)).history.map((each) => each.seq),
    [3, 4],
  );
});

test('history is bounded, but never past what has stood in the outbox', async () => {
  const id = newCallId();
  const seqs = [1, 2, 3, 4, 5, 6, 7, 8];
  await bench.store.checkpoint({ ...checkpoint(id, { seqs, writeId: 1 }), outbox: [turn(1), turn(2)] });
  assert.deepEqual(
    (await bench.store.read(id)).history.map((each) => each.seq),
    [3, 4, 5, 6, 7, 8],
  );
  await bench.store.checkpoint({ ...checkpoint(id, { seqs: [8], writeId: 2 }), outbox: seqs.map(turn) });
  assert.deepEqual(
    (await bench.store.read(id)).history.map((each) => each.seq),
    [4, 5, 6, 7, 8],
  );
});

test('an entry that was archived and removed is not appended again; the same id with other content is', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  const outboxKey = bench.keys.callKey(id, 'outbox');
  await bench.client.command('XTRIM', outboxKey, 'MAXLEN', 0);
  await bench.store.checkpoint({ ...checkpoint(id, { seqs: [1], writeId: 2 }), outbox: [turn(1)] });
  assert.deepEqual((await bench.store.read(id)).unarchived, []);
  await bench.store.checkpoint({
    ...checkpoint(id, { seqs: [1], writeId: 3 }),
    outbox: [{ ...turn(1), body: { seq: 1, text: 'other' } }],
  });
  assert.equal((await bench.store.read(id)).unarchived.length, 1);
});

test('refresh extends every key and finds out what Redis has lost', async () => {
  const id = newCallId();
  assert.equal(await bench.store.refresh({ callConnectionId: id, ...owner(1) }), 'missing');
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  for (const key of (await ttls(bench.client)).keys())
    if (key.includes(id)) await bench.client.command('EXPIRE', key, 100);
  assert.equal(await bench.store.refresh({ callConnectionId: id, ...owner(1) }), 'refreshed');
  for (const [key, ttl] of await ttls(bench.client)) if (key.includes(id)) assert.ok(ttl > 100, key);
  await bench.client.command('DEL', bench.keys.conversationKey(id, 'history'));
  assert.equal(await bench.store.refresh({ callConnectionId: id, ...owner(1) }), 'missing');
});

test('unknown fields of a newer release survive in session, context and history', async () => {
  const id = newCallId();
  const written = checkpoint(id, { seqs: [1], writeId: 1 });
  const newer = {
    ...written,
    session: { ...written.session, v: 7, mood: 'fine' },
    history: [{ ...entry(1), language: 'en' }],
  };
  await bench.store.checkpoint(newer);
  const call = await bench.store.read(id);
  assert.deepEqual(call.session, newer.session);
  assert.deepEqual(call.history, newer.history);
});

test('a record of an unknown breaking version is refused by name, and a claim leaves the fence alone', async () => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  await bench.client.command('HSET', bench.keys.callKey(id, 'fence'), 'format', ENVELOPE_VERSION + 1);
  await assert.rejects(bench.store.claim({ callConnectionId: id, ...owner(2) }), {
    code: 'ERR_RECORD_VERSION_UNKNOWN',
  });
  await assert.rejects(bench.store.checkpoint(checkpoint(id, { seqs: [1, 2], writeId: 2 })), {
    code: 'ERR_RECORD_VERSION_UNKNOWN',
  });
  assert.equal(await bench.client.command('HGET', bench.keys.callKey(id, 'fence'), 'fence'), '1');
  const session = bench.keys.callKey(id, 'session');
  await bench.client.command('HSET', session, '_record', `{"v":${ENVELOPE_VERSION + 1},"alg":"none","body":{}}`);
  await assert.rejects(bench.store.read(id), { code: 'ERR_RECORD_VERSION_UNKNOWN' });
  await bench.client.command('HSET', session, '_record', '{broken');
  await assert.rejects(bench.store.read(id), { code: 'ERR_RECORD_UNREADABLE' });
});

test('bad input names the field', async () => {
  const id = newCallId();
  await assert.rejects(bench.store.checkpoint({ ...checkpoint(id, { seqs: [1], writeId: 1 }), fence: 0 }), /fence/);
  await assert.rejects(bench.store.checkpoint({ ...checkpoint(id, { seqs: [1], writeId: 1 }), writeId: 0 }), /writeId/);
  await assert.rejects(bench.store.checkpoint({ ...checkpoint(id, { seqs: [1, 3], writeId: 1 }) }), /history/);
});

test('created keys are counted by data type, once', async () => {
  const count = async () => {
    const values = (await bench.registry.getSingleMetric('rtvoice_redis_keys_created_total')?.get())?.values ?? [];
    return Object.fromEntries(values.map(({ labels, value }) => [labels.data_type, value]));
  };
  const before = await count();
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  await bench.store.checkpoint(checkpoint(id, { seqs: [2], writeId: 2 }));
  const after = await count();
  assert.deepEqual(
    [(after.call ?? 0) - (before.call ?? 0), (after.conversation ?? 0) - (before.conversation ?? 0)],
    [4, 2],
  );
});

test('with Redis Cluster every key of a call is in one slot', async (t) => {
  const redis = await startRedis({ args: ['--cluster-enabled', 'yes'] });
  t.after(() => redis[Symbol.asyncDispose]());
  const client = newClient(redis, 'fastFail');
  t.after(() => client.close());
  await client.ready();
  // One node holds all slots, and a script over two of them is refused all the same.
  await client.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
  while (!(await client.command<string>('CLUSTER', 'INFO')).includes('cluster_state:ok'));
  const keys = new RedisKeyManager({ environment: 'test', layout: 'cluster' });
  const store = newStore(client, keys);
  const id = newCallId();
  await store.checkpoint(checkpoint(id, { seqs: [1], writeId: 1 }));
  assert.equal((await store.claim({ callConnectionId: id, ...owner(2) })).kind, 'claimed');
  assert.equal(await store.refresh({ callConnectionId: id, ...owner(2) }), 'refreshed');
  assert.equal((await store.read(id)).history.length, 1);
  const stream = new OutboxStream({ redis: client, keys: callKeys(keys), quarantineTtlMs: 60_000 });
  const [item] = await stream.read(id, 1);
  assert.ok(item);
  await stream.quarantine(id, item, 'test');
  assert.equal((await stream.quarantined(id)).length, 1);
  assert.equal(await stream.finish(id), true);
  await assert.rejects(client.command('MGET', keys.callKey(id, 'session'), keys.callKey(newCallId(), 'session')), {
    code: 'ERR_REDIS_COMMAND',
  });
});

test('a server without memory refuses a checkpoint as a whole, a full one too', async (t) => {
  const id = newCallId();
  await bench.store.checkpoint(checkpoint(id, { seqs: [1, 2], writeId: 1 }));
  const before = await bench.store.read(id);
  await bench.client.command('CONFIG', 'SET', 'maxmemory', 1);
  t.after(() => bench.client.command('CONFIG', 'SET', 'maxmemory', 0));
  for (const full of [false, true]) {
    const attempt = bench.store.checkpoint(checkpoint(id, { seqs: full ? [1, 2, 3] : [3], writeId: 2, full }));
    await assert.rejects(attempt, { code: 'ERR_REDIS_FULL' });
    assert.deepEqual(await bench.store.read(id), before);
  }
  await bench.client.command('CONFIG', 'SET', 'maxmemory', 0);
  assert.deepEqual(await bench.store.checkpoint(checkpoint(id, { seqs: [3], writeId: 2 })), { kind: 'written' });
});
