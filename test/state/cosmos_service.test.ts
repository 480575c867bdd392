import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BulkOperationType, type OperationInput } from '@azure/cosmos';
import { codeOf, startCosmos } from './cosmos_bench.ts';

const create = (id: string, more: Record<string, unknown> = {}) => ({
  operationType: 'Create' as const,
  resourceBody: { id, pk: 'p', ...more } as never,
});

test('a fault in the middle of a batch leaves nothing of it', async (t) => {
  const { simulator, container } = await startCosmos(t);
  const batched = await container();
  for (const [at, status] of [
    [0, 449],
    [2, 503],
    [4, 429],
  ] as const) {
    simulator.faults.batchFailure = { at, status, times: 1 };
    const operations = ['a', 'b', 'c', 'd', 'e'].map((id) => create(id));
    const { result } = await batched.items.batch(operations, 'p');
    assert.deepEqual(
      result?.map(({ statusCode }) => statusCode),
      operations.map((_, index) => (index === at ? status : 424)),
    );
    assert.deepEqual(simulator.documents('db', batched.id), []);
  }
  assert.equal((await batched.items.batch([create('a'), create('b')], 'p')).code, 200);
  assert.equal(simulator.documents('db', batched.id).length, 2);
});

test('a batch sees its own operations, and keeps to its limits', async (t) => {
  const { simulator, container } = await startCosmos(t);
  const batched = await container();
  const mixed: OperationInput[] = [
    create('a', { n: 1 }),
    { operationType: 'Replace', id: 'a', resourceBody: { id: 'a', pk: 'p', n: 2 } },
    { operationType: 'Upsert', resourceBody: { id: 'b', pk: 'p' } },
    { operationType: 'Read', id: 'b' },
    { operationType: 'Patch', id: 'a', resourceBody: { operations: [{ op: 'incr', path: '/n', value: 5 }] } },
    { operationType: 'Delete', id: 'b' },
  ];
  assert.deepEqual(
    (await batched.items.batch(mixed, 'p')).result?.map(({ statusCode }) => statusCode),
    [201, 200, 201, 200, 200, 204],
  );
  assert.deepEqual(
    simulator.documents('db', batched.id).map(({ id, n }) => [id, n]),
    [['a', 7]],
  );
  const large = ['x', 'y', 'z'].map((id) => create(id, { text: 'x'.repeat(800_000) }));
  assert.equal(await codeOf(batched.items.batch(large, 'p')), 413);
  const other = await batched.items.batch(
    [create('p1'), { ...create('p2'), resourceBody: { id: 'p2', pk: 'q' } }],
    'p',
  );
  assert.equal(other.result?.[1]?.statusCode, 400);
  assert.equal(simulator.documents('db', batched.id).length, 1);
});

test('bulk operations go to the physical partition that their key hashes to, each for itself', async (t) => {
  const { simulator, container } = await startCosmos(t, { partitions: 4 });
  const bulk = await container();
  await bulk.items.create({ id: 'taken', pk: 'p3' });
  const operations = Array.from({ length: 200 }, (_, n) => ({
    operationType: BulkOperationType.Create,
    partitionKey: `p${n}`,
    resourceBody: { id: n === 3 ? 'taken' : `d${n}`, pk: `p${n}` },
  }));
  const results = await bulk.items.executeBulkOperations(operations);
  const statuses = results.map(({ response, error }) => response?.statusCode ?? error?.code);
  assert.deepEqual(
    statuses,
    operations.map((_, n) => (n === 3 ? 409 : 201)),
  );
  assert.equal(simulator.documents('db', bulk.id).length, 200);
});

test('unique keys hold within a partition, in batches and in replacements too', async (t) => {
  const { container } = await startCosmos(t);
  const unique = await container({ uniqueKeyPolicy: { uniqueKeys: [{ paths: ['/email'] }] } });
  await unique.items.create({ id: 'a', pk: 'p', email: 'x' });
  assert.equal(await codeOf(unique.items.create({ id: 'b', pk: 'p', email: 'x' })), 409);
  assert.equal(await codeOf(unique.items.create({ id: 'b', pk: 'q', email: 'x' })), 'none');
  assert.equal(await codeOf(unique.items.create({ id: 'c', pk: 'p', email: 'y' })), 'none');
  assert.equal(await codeOf(unique.item('c', 'p').replace({ id: 'c', pk: 'p', email: 'x' })), 409);
  assert.equal(await codeOf(unique.item('c', 'p').replace({ id: 'c', pk: 'p', email: 'y', n: 1 })), 'none');
  const both = await unique.items.batch([create('d', { email: 'z' }), create('e', { email: 'z' })], 'p');
  assert.deepEqual(
    both.result?.map(({ statusCode }) => statusCode),
    [424, 409],
  );
  const { resource } = await unique.read();
  assert.equal(await codeOf(unique.replace({ ...resource, id: unique.id, uniqueKeyPolicy: { uniqueKeys: [] } })), 400);
});

test('failures that are asked for hit what they name, so often, and nothing is applied', async (t) => {
  const { simulator, container } = await startCosmos(t);
  const failing = await container();
  await failing.items.create({ id: 'a', pk: 'p' });
  for (const status of [408, 449, 503]) {
    simulator.faults.failures = [{ status, times: 1, operations: ['create'] }];
    assert.equal(await codeOf(failing.item('a', 'p').read()), 'none');
    assert.equal(await codeOf(failing.items.create({ id: `s${status}`, pk: 'p' })), status);
    assert.equal(await codeOf(failing.items.create({ id: `s${status}`, pk: 'p' })), 'none');
  }
});

test('requests cost what the documented formula says, and the SDK is told', async (t) => {
  const { simulator, container } = await startCosmos(t);
  const charged = await container();
  const kilobyte = (id: string, kilobytes: number) => ({ id, pk: 'p', text: 'x'.repeat(kilobytes * 1024) });
  const small = await charged.items.create({ id: 's', pk: 'p' });
  assert.equal(small.requestCharge, 5);
  assert.equal((await charged.item('s', 'p').read()).requestCharge, 1);
  const large = await charged.items.create(kilobyte('l', 100));
  assert.ok(Math.abs(large.requestCharge - 50) < 0.5, `${large.requestCharge}`);
  const read = await charged.item('l', 'p').read();
  assert.ok(Math.abs(read.requestCharge - 10) < 0.1, `${read.requestCharge}`);
  assert.equal((await charged.items.upsert({ id: 's', pk: 'p' })).requestCharge, 10);
  const batch = await charged.items.batch([create('x'), create('y')], 'p');
  assert.equal(Number(batch.headers['x-ms-request-charge']), 10);
  assert.equal(simulator.charges.get(`${charged.id} batch`), 10);
});

test('what a second may cost is a budget: the rest gets 429 with the time to wait', async (t) => {
  let nowMs = 1_000_000_000_000;
  const { simulator, container } = await startCosmos(t, { nowMs: () => nowMs });
  const budgeted = await container();
  simulator.faults.requestUnitsPerSecond = 12;
  // 5 + 5 + 5: the third is let in, since some is left, and the next second starts with a debt.
  for (const id of ['a', 'b', 'c']) assert.equal(await codeOf(budgeted.items.create({ id, pk: 'p' })), 'none');
  const failed = await budgeted.items.create({ id: 'd', pk: 'p' }).catch((error) => error);
  assert.equal(failed.code, 429);
  assert.equal(failed.retryAfterInMs, 1_000);
  nowMs += 1_000;
  assert.equal(await codeOf(budgeted.items.create({ id: 'd', pk: 'p' })), 'none');
});
