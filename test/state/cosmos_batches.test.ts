import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createRegistry } from '../../platform/metrics.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { CosmosMetrics } from '../../state/cosmos/metrics.ts';
import { CosmosReader } from '../../state/cosmos/reader.ts';
import { type CosmosBench, record, startCosmos, turn } from './cosmos_bench.ts';
import { newCallId } from './support.ts';

async function startArchive(
  t: TestContext,
): Promise<CosmosBench & { archive: CosmosArchive; throttles: () => number }> {
  const bench = await startCosmos(t);
  let throttles = 0;
  const onThrottled = (count: number) => {
    throttles += count;
  };
  const database = bench.open();
  await database.ensure();
  return { ...bench, archive: new CosmosArchive({ database, onThrottled }), throttles: () => throttles };
}

const kinds = (outcomes: readonly { kind: string }[]) => outcomes.map(({ kind }) => kind);
const summary = (call: string, turns: number) =>
  record(call, { kind: 'summary', id: 'summary', body: { v: 1, callConnectionId: call, turns, startedAtMs: 1 } });

test('the turns of a drain go as one batch, and come back as they were', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const records = [turn(call, 1), turn(call, 2), turn(call, 3), summary(call, 3)];
  const before = simulator.requests.get('POST docs') ?? 0;
  assert.deepEqual(kinds(await archive.writeAll(records)), ['written', 'written', 'written', 'written']);
  assert.equal((simulator.requests.get('POST docs') ?? 0) - before, 1);
  const found = await archive.readCall(call);
  assert.deepEqual(
    found.turns.map(({ seq, text }) => [seq, text]),
    [
      [1, 'text 1'],
      [2, 'text 2'],
      [3, 'text 3'],
    ],
  );
  assert.equal(found.summary?.turns, 3);
});

test('a batch that fails in its middle writes nothing, waits, and is written once', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const records = [1, 2, 3, 4].map((seq) => turn(call, seq));
  for (const status of [449, 503]) {
    simulator.faults.batchFailure = { at: 2, status, times: 1 };
    const outcomes = await archive.writeAll(records);
    assert.deepEqual(kinds(outcomes), ['later']);
    assert.deepEqual(await archive.recordIds(call), []);
  }
  assert.deepEqual(kinds(await archive.writeAll(records)), ['written', 'written', 'written', 'written']);
  assert.equal((await archive.recordIds(call)).length, 4);
});

test('a batch that is there already, in part or as another, falls back to one by one', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const records = [turn(call, 1), turn(call, 2), turn(call, 3)];
  simulator.faults.replyLost = 1;
  assert.deepEqual(kinds(await archive.writeAll(records)), ['later']);
  assert.deepEqual(kinds(await archive.writeAll(records)), ['repeated', 'repeated', 'repeated']);
  const others = [turn(call, 3, 'another owner'), turn(call, 4)];
  assert.deepEqual(kinds(await archive.writeAll(others)), ['keptBeside', 'written']);
  assert.deepEqual(kinds(await archive.writeAll(others)), ['repeated', 'repeated']);
  assert.equal((await archive.recordIds(call)).length, 5);
});

test('what is too large together goes in parts; what is too large alone is refused, and its neighbours are not', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const large = [1, 2, 3].map((seq) => turn(call, seq, 'x'.repeat(800_000)));
  assert.deepEqual(kinds(await archive.writeAll(large)), ['written', 'written', 'written']);
  const outcomes = await archive.writeAll([turn(call, 4), turn(call, 5, 'x'.repeat(2_200_000)), turn(call, 6)]);
  assert.deepEqual(outcomes[1], { kind: 'refused', reason: 'the document is too large (413)' });
  assert.deepEqual(kinds(outcomes), ['written', 'refused', 'written']);
  // The service may count more bytes than we do: then each goes alone.
  simulator.faults.failures = [{ status: 413, times: 1, operations: ['batch'] }];
  assert.deepEqual(kinds(await archive.writeAll([turn(call, 7), turn(call, 8)])), ['written', 'written']);
  const ids = await archive.recordIds(call);
  assert.deepEqual(
    ids.sort(),
    [1, 2, 3, 4, 6, 7, 8].map((seq) => `turn-00000${seq}`),
  );
});

test('more than a hundred turns are several batches', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const records = Array.from({ length: 230 }, (_, at) => turn(call, at + 1));
  const before = simulator.requests.get('POST docs') ?? 0;
  const outcomes = await archive.writeAll(records);
  assert.equal(outcomes.filter(({ kind }) => kind === 'written').length, 230);
  assert.equal((simulator.requests.get('POST docs') ?? 0) - before, 3);
});

test('nothing behind a record that has to wait is written before it', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const records = Array.from({ length: 150 }, (_, at) => turn(call, at + 1));
  simulator.faults.failures = [{ status: 503, times: 1, operations: ['batch'] }];
  assert.deepEqual(kinds(await archive.writeAll(records)), ['later']);
  assert.deepEqual(await archive.recordIds(call), []);
  // One by one, and across kinds: the end record does not overtake a profile that waits.
  await archive.write(turn(call, 1));
  simulator.faults.failures = [{ status: 449, times: 1, operations: ['create'] }];
  assert.deepEqual(kinds(await archive.writeAll([turn(call, 1), turn(call, 2), turn(call, 3)])), ['later']);
  const profile = record(call, { kind: 'profile', id: 'u1', body: { userId: 'u', patch: {}, callConnectionId: call } });
  simulator.faults.failures = [{ status: 449, times: 1, operations: ['read'] }];
  assert.deepEqual(kinds(await archive.writeAll([turn(call, 2), profile, summary(call, 2)])), ['written', 'later']);
  assert.deepEqual((await archive.recordIds(call)).sort(), ['turn-000001', 'turn-000002']);
});

test('a burst of 429 is waited out as the server asks; a long one ends in `later` with its delay', async (t) => {
  const { archive, simulator, throttles } = await startArchive(t);
  const call = newCallId();
  simulator.faults.throttle = 3;
  assert.deepEqual(kinds(await archive.writeAll([turn(call, 1), turn(call, 2)])), ['written', 'written']);
  assert.equal(throttles(), 3);
  Object.assign(simulator.faults, { throttle: 1_000, retryAfterMs: 150 });
  const [outcome] = await archive.writeAll([turn(call, 3), turn(call, 4)]);
  assert.ok(outcome?.kind === 'later' && outcome.throttled);
  assert.equal(outcome.retryAfterMs, 150);
  simulator.faults.throttle = 0;
  simulator.faults.batchFailure = { at: 1, status: 429, times: 1 };
  const [within] = await archive.writeAll([turn(call, 3), turn(call, 4)]);
  assert.ok(within?.kind === 'later' && within.throttled);
  assert.deepEqual((await archive.recordIds(call)).length, 2);
});

test('a service that asks for minutes does not hold a drain for minutes', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  await archive.write(turn(call, 1));
  Object.assign(simulator.faults, { throttle: 1, retryAfterMs: 600_000 });
  const [outcome] = await archive.writeAll([turn(call, 2), turn(call, 3)]);
  assert.ok(outcome?.kind === 'later' && outcome.throttled);
  assert.equal(outcome.retryAfterMs, 600_000);
  assert.deepEqual(kinds(await archive.writeAll([turn(call, 2), turn(call, 3)])), ['written', 'written']);
});

test('a service that takes requests and does not answer does not hold a drain', async (t) => {
  const bench = await startArchive(t);
  const archive = new CosmosArchive({ database: bench.open(), requestDeadlineMs: 300 });
  const call = newCallId();
  await archive.write(turn(call, 1));
  bench.simulator.faults.frozen = true;
  const [outcome] = await archive.writeAll([turn(call, 2), turn(call, 3)]);
  bench.simulator.faults.frozen = false;
  assert.ok(outcome?.kind === 'later');
  assert.match(String(outcome.cause), /no answer within 300 ms/);
  const again = kinds(await archive.writeAll([turn(call, 2), turn(call, 3)]));
  assert.ok(
    again.every((kind) => kind === 'written' || kind === 'repeated'),
    again.join(),
  );
  assert.equal((await archive.recordIds(call)).length, 3);
});

test('under a budget of request units everything arrives in the end, once', async (t) => {
  const { archive, simulator } = await startArchive(t);
  simulator.faults.requestUnitsPerSecond = 400;
  const calls = Array.from({ length: 12 }, newCallId);
  await Promise.all(
    calls.map(async (call) => {
      const records = Array.from({ length: 20 }, (_, at) => turn(call, at + 1));
      for (let left = records; left.length > 0; ) {
        const outcomes = await archive.writeAll(left);
        assert.ok(outcomes.every(({ kind }) => ['written', 'repeated', 'later'].includes(kind)));
        left = left.slice(outcomes.filter(({ kind }) => kind !== 'later').length);
      }
    }),
  );
  simulator.faults.requestUnitsPerSecond = 0;
  for (const call of calls) assert.equal((await archive.recordIds(call)).length, 20);
});

test('each kind of record has its container and its partition, and nothing is opened on the way', async (t) => {
  const { archive, simulator } = await startArchive(t);
  const call = newCallId();
  const endedAtMs = Date.parse('2026-11-21T23:59:59Z');
  const header = { v: 1, alg: 'A256GCM', kid: 'caller-1.k', n: 'nonce' };
  const outcomes = await archive.writeAll([
    { ...turn(call, 1), header, body: { seq: 1, role: 'caller', sealed: 'c2VhbGVk' } },
    record(call, { kind: 'analytics', id: 'analytics', body: { endedAtMs, turns: 1, ttl: 5, kind: 'own' } }),
    record(call, { kind: 'audit', id: 'chain-1', body: { tenantId: 't1', atMs: endedAtMs, operation: 'erase' } }),
    record(call, { kind: 'metrics', id: 'w-1-5', body: { pool: 'local.demo', atMs: endedAtMs, worker: 'w-1' } }),
    record(call, { kind: 'analytics', id: 'analytics', body: { turns: 1 } }),
  ]);
  assert.deepEqual(kinds(outcomes), ['written', 'written', 'written', 'written', 'refused']);
  const [sealed] = simulator.documents('rtvoice', 'transcripts');
  assert.deepEqual([sealed?.envelope, sealed?.sealed, sealed?.schemaVersion], [header, 'c2VhbGVk', 1]);
  const [analytics] = simulator.documents('rtvoice', 'analytics');
  assert.match(String(analytics?.dayBucket), /^2026-11-21~\d\d$/);
  // A body cannot change how its document is kept.
  assert.deepEqual(
    [analytics?.ttl, analytics?.kind, analytics?.shadowed],
    [undefined, 'analytics', { ttl: 5, kind: 'own' }],
  );
  assert.deepEqual(simulator.documents('rtvoice', 'audit')[0]?.month, '2026-11');
  assert.deepEqual(simulator.documents('rtvoice', 'metrics')[0]?.day, '2026-11-21');
});

test('the account of request units equals what the service charged, failures and queries included', async (t) => {
  const bench = await startCosmos(t);
  const registry = createRegistry({ processMetrics: false });
  const observer = new CosmosMetrics(registry);
  const database = bench.open();
  const archive = new CosmosArchive({ database, observer });
  const call = newCallId();
  await archive.writeAll([turn(call, 1), turn(call, 2)]);
  await archive.writeAll([turn(call, 2), turn(call, 3)]);
  await archive.write(turn(call, 3, 'another'));
  await archive.write(turn(call, 9, 'x'.repeat(2_200_000)));
  bench.simulator.faults.throttle = 2;
  await archive.write(
    record(call, {
      kind: 'profile',
      id: 'u1',
      body: { userId: 'u', patch: { language: 'en' }, callConnectionId: call },
    }),
  );
  await archive.readCall(call);
  for await (const _ of new CosmosReader({ database, observer, pageSize: 1 }).call(call));
  const metric = await registry.getSingleMetric('rtvoice_cosmos_request_units_total')?.get();
  const told = new Map<string, number>();
  for (const { labels, value } of metric?.values ?? []) {
    const { container, operation } = labels as Record<string, string>;
    if (value > 0) told.set(`${container} ${operation}`, Math.round(value * 100));
  }
  const charged = [...bench.simulator.charges].filter(([, units]) => units > 0);
  assert.deepEqual(told, new Map(charged.map(([name, units]) => [name, Math.round(units * 100)])));
  assert.ok(told.size >= 5, [...told.keys()].join());
});
