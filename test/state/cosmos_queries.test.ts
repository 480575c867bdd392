import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeFeedStartFrom, type Container, type FeedOptions, PartitionKeyKind } from '@azure/cosmos';
import { codeOf, startCosmos } from './cosmos_bench.ts';

const DOCUMENTS = Array.from({ length: 24 }, (_, n) => ({
  id: `d${String(n).padStart(2, '0')}`,
  pk: `p${n % 5}`,
  n,
  group: ['red', 'green', 'blue'][n % 3],
  tags: n % 2 === 0 ? ['even', 'x'] : ['odd'],
  nested: { deep: n * 10 },
}));

async function filled(container: Container): Promise<Container> {
  for (const document of DOCUMENTS) await container.items.create(document);
  return container;
}

async function all(container: Container, query: string, options: FeedOptions = {}): Promise<unknown[]> {
  return (await container.items.query(query, { maxItemCount: 4, ...options }).fetchAll()).resources;
}

// One partition is answered by the simulator alone; several are put together by the SDK from a plan and rewritten queries.
for (const partitions of [1, 3]) {
  test(`queries across ${partitions} physical partitions give what one place would`, async (t) => {
    const bench = await startCosmos(t, { partitions });
    const container = await filled(await bench.container());
    const ask = (query: string) => all(container, query);
    assert.deepEqual(await ask('SELECT VALUE c.n FROM c ORDER BY c.n DESC'), DOCUMENTS.map(({ n }) => n).reverse());
    assert.deepEqual(
      await ask('SELECT c.id, c.nested.deep AS deep FROM c WHERE c.n < 3 ORDER BY c.id'),
      DOCUMENTS.slice(0, 3).map(({ id, nested }) => ({ id, deep: nested.deep })),
    );
    assert.deepEqual(await ask('SELECT VALUE COUNT(1) FROM c'), [24]);
    assert.deepEqual(await ask('SELECT VALUE SUM(c.n) FROM c WHERE c.n BETWEEN 1 AND 3'), [6]);
    assert.deepEqual(await ask('SELECT VALUE MAX(c.n) FROM c'), [23]);
    assert.deepEqual(await ask('SELECT VALUE MIN(c.n) FROM c'), [0]);
    assert.deepEqual(await ask('SELECT VALUE AVG(c.n) FROM c'), [11.5]);
    const groups = await ask('SELECT c.group, COUNT(1) AS many, AVG(c.n) AS mean FROM c GROUP BY c.group');
    assert.deepEqual(
      (groups as { group: string }[]).sort((a, b) => a.group.localeCompare(b.group)),
      [
        { group: 'blue', many: 8, mean: 12.5 },
        { group: 'green', many: 8, mean: 11.5 },
        { group: 'red', many: 8, mean: 10.5 },
      ],
    );
    assert.deepEqual(((await ask('SELECT DISTINCT VALUE c.group FROM c')) as string[]).sort(), [
      'blue',
      'green',
      'red',
    ]);
    assert.deepEqual(await ask('SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 5 LIMIT 3'), [5, 6, 7]);
    assert.deepEqual(await ask('SELECT TOP 2 VALUE c.n FROM c ORDER BY c.n DESC'), [23, 22]);
    assert.equal((await ask('SELECT * FROM c WHERE ARRAY_CONTAINS(c.tags, "odd")')).length, 12);
    assert.equal((await ask('SELECT VALUE t FROM c JOIN t IN c.tags WHERE c.n < 4')).length, 6);
  });
}

test('a query in one partition sees nothing of the others, and pages with continuation', async (t) => {
  const bench = await startCosmos(t, { partitions: 3 });
  const container = await filled(await bench.container());
  const mine = DOCUMENTS.filter(({ pk }) => pk === 'p1').map(({ id }) => id);
  assert.deepEqual(await all(container, 'SELECT VALUE c.id FROM c ORDER BY c.id', { partitionKey: 'p1' }), mine);
  assert.deepEqual(await all(container, 'SELECT VALUE COUNT(1) FROM c', { partitionKey: 'p1' }), [mine.length]);
  const seen: string[] = [];
  let token: string | undefined;
  do {
    const options = { partitionKey: 'p1', maxItemCount: 2, ...(token ? { continuationToken: token } : {}) };
    const page = await container.items.query<{ id: string }>('SELECT * FROM c', options).fetchNext();
    seen.push(...page.resources.map(({ id }) => id));
    token = page.continuationToken;
  } while (token);
  assert.deepEqual(seen, mine);
});

test('the language: functions, conditions, literals, and 400 for what is not known', async (t) => {
  const bench = await startCosmos(t);
  const container = await filled(await bench.container());
  const one = async (expression: string) =>
    (await all(container, `SELECT VALUE ${expression} FROM c WHERE c.id = "d07"`, { partitionKey: 'p2' }))[0];
  assert.equal(await one('c.n + 1 * 2'), 9);
  assert.equal(await one('-c.n'), -7);
  assert.equal(await one('c.missing ?? "none"'), 'none');
  assert.equal(await one('c.n > 5 ? "big" : "small"'), 'big');
  assert.deepEqual(await one('{"a": c.n, "b": [1, c.group]}'), { a: 7, b: [1, 'green'] });
  assert.equal(await one('UPPER(c.group) || "!"'), 'GREEN!');
  assert.equal(await one('CONTAINS(c.group, "REE", true)'), true);
  assert.equal(await one('ARRAY_LENGTH(c["tags"])'), 1);
  assert.equal(await one('c.tags[0]'), 'odd');
  assert.equal(await one('c.group LIKE "gr%n"'), true);
  assert.equal(await one('c.group NOT IN ("red", "blue")'), true);
  assert.equal(await one('IS_DEFINED(c.missing) OR c.n = 7'), true);
  // A comparison with what is missing is neither true nor false.
  assert.equal(await one('NOT (c.missing = 1)'), undefined);
  for (const query of [
    'SELECT FOO(c.n) FROM c',
    'SELECT * FROM c WHERE',
    'SELECT * FROM c ORDER BY c.a, c.b',
    'nonsense',
  ])
    assert.equal(await codeOf(all(container, query, { partitionKey: 'p1' })), 400, query);
});

test('the change feed gives each document once with its newest version, and goes on where it stopped', async (t) => {
  const bench = await startCosmos(t, { partitions: 2 });
  const container = await bench.container();
  const put = (id: string, n: number) => container.items.upsert({ id, pk: `p${id}`, n });
  for (const id of ['a', 'b', 'c', 'd', 'e']) await put(id, 1);
  await put('b', 2);
  await container.item('c', 'pc').delete();
  const feed = container.items.getChangeFeedIterator({ maxItemCount: 2, changeFeedStartFrom: beginning() });
  const read = async () => {
    const seen: string[] = [];
    for (let empty = 0; empty < 3; ) {
      const page = await feed.readNext();
      empty = page.statusCode === 304 ? empty + 1 : 0;
      if (page.statusCode !== 304)
        seen.push(...(page.result as unknown as { id: string; n: number }[]).map(({ id, n }) => `${id}${n}`));
    }
    return seen.sort();
  };
  assert.deepEqual(await read(), ['a1', 'b2', 'd1', 'e1']);
  await put('f', 1);
  await put('a', 3);
  assert.deepEqual(await read(), ['a3', 'f1']);
  const own = container.items.getChangeFeedIterator({ changeFeedStartFrom: beginning('pb') });
  const page = await own.readNext();
  assert.deepEqual(
    page.result.map(({ id }: { id: string }) => id),
    ['b'],
  );
  assert.equal((await own.readNext()).statusCode, 304);
});

function beginning(partitionKey?: string) {
  return partitionKey === undefined ? ChangeFeedStartFrom.Beginning() : ChangeFeedStartFrom.Beginning(partitionKey);
}

test('hierarchical keys: whole keys are points, prefixes are parts', async (t) => {
  const bench = await startCosmos(t, { partitions: 3 });
  const partitionKey = { paths: ['/tenant', '/month', '/id'], kind: PartitionKeyKind.MultiHash, version: 2 };
  const container = await bench.container({ partitionKey });
  for (const tenant of ['t1', 't2'])
    for (const month of ['2026-10', '2026-11'])
      for (const n of [1, 2]) await container.items.create({ id: `${tenant}-${month}-${n}`, tenant, month });
  const id = 't1-2026-11-2';
  assert.equal((await container.item(id, ['t1', '2026-11', id]).read()).resource?.id, id);
  const under = async (prefix: string[]) =>
    ((await all(container, 'SELECT VALUE c.id FROM c', { partitionKey: prefix })) as string[]).sort();
  assert.deepEqual(await under(['t1', '2026-11']), ['t1-2026-11-1', 't1-2026-11-2']);
  assert.equal((await under(['t2'])).length, 4);
  assert.deepEqual(await under(['t3']), []);
});
