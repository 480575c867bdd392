import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { POOLS } from '../../controller/kube/resources.ts';
import { CacheRig, configMap, event, shown } from '../support/cache_rig.ts';

/** What the cache holds and tells. Time stands still unless a test moves it. */

let cache: CacheRig;
beforeEach(async () => {
  cache = await CacheRig.start();
});
afterEach(() => cache[Symbol.asyncDispose]());

test('lists in pages, then follows with bookmarks and a time-out of five to ten minutes', async () => {
  cache.begin({ namespace: 'calls', labelSelector: 'a=b', fieldSelector: 'c=d' });
  assert.equal(cache.informer.hasSynced, false);
  const first = await cache.rig.api.next();
  const selection = { labelSelector: 'a=b', fieldSelector: 'c=d' };
  assert.deepEqual({ ...first.query }, { ...selection, limit: '500' });
  first.page('10', [configMap('a', '1')], 'page2');
  const second = await cache.rig.api.next();
  assert.deepEqual({ ...second.query }, { ...selection, limit: '500', continue: 'page2' });
  assert.equal(cache.informer.hasSynced, false);
  second.page('10', [configMap('b', '2')]);
  await cache.informer.synced();
  assert.deepEqual(cache.informer.list().map(shown), ['a@1', 'b@2']);
  const watch = await cache.rig.api.next();
  assert.equal(watch.path, '/api/v1/namespaces/calls/configmaps');
  assert.deepEqual(
    { ...watch.query },
    { ...selection, watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '10', timeoutSeconds: '450' },
  );
});

test('tells the old and the new object of every change', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(event('ADDED', configMap('b', '11')), event('MODIFIED', configMap('a', '12')));
  stream.events(event('DELETED', configMap('a', '13')));
  assert.deepEqual(
    [await cache.changes.next(), await cache.changes.next(), await cache.changes.next()],
    [
      [undefined, 'b@11'],
      ['a@1', 'a@12'],
      ['a@13', undefined],
    ],
  );
  assert.equal(cache.informer.get('calls', 'a'), undefined);
  assert.deepEqual(cache.informer.list().map(shown), ['b@11']);
});

test('what comes twice is told once', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(event('ADDED', configMap('a', '1')), event('ADDED', configMap('b', '11')));
  stream.events(event('ADDED', configMap('b', '11')), event('MODIFIED', configMap('b', '12')));
  assert.deepEqual(
    [await cache.changes.next(), await cache.changes.next()],
    [
      [undefined, 'b@11'],
      ['b@11', 'b@12'],
    ],
  );
  assert.equal(cache.changes.count, 0);
});

test('another object under the same name is first gone, then new', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(event('MODIFIED', configMap('a', '11', 'uid-other')));
  assert.deepEqual(
    [await cache.changes.next(), await cache.changes.next()],
    [
      ['a@1', undefined],
      [undefined, 'other@11'],
    ],
  );
});

test('objects have one shape, wherever they came from, and no field of theirs is lost', async () => {
  cache.begin();
  const more = { creationTimestamp: '2026-01-01T00:00:00Z', managedFields: [{ manager: 'x' }] };
  const raw = (name: string) => ({ ...configMap(name, '5', 'u'), immutable: true, future: { field: 1 } });
  const listed = { ...raw('a'), metadata: { ...raw('a').metadata, ...more } };
  const stream = await cache.following('10', listed);
  const watched = { ...listed, apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...listed.metadata, name: 'b' } };
  stream.events(event('ADDED', watched));
  await cache.changes.next();
  const [a, b] = [cache.informer.get('calls', 'a'), cache.informer.get('calls', 'b')];
  assert.deepEqual({ ...b, metadata: { ...b?.metadata, name: 'a' } }, a);
  assert.deepEqual(a, {
    ...{ ...raw('a'), apiVersion: 'v1', kind: 'ConfigMap' },
    metadata: { ...raw('a').metadata, creationTimestamp: '2026-01-01T00:00:00Z' },
  });
});

test('who wrote a field is kept where somebody reads it', async () => {
  cache.begin({ resource: POOLS, transform: (pool) => ({ metadata: pool.metadata, ...{ apiVersion: 'x' } }) });
  const pool = {
    ...configMap('a', '1'),
    metadata: { ...configMap('a', '1').metadata, managedFields: [{ manager: 'x' }] },
  };
  (await cache.rig.api.next()).page('10', [pool]);
  await cache.informer.synced();
  assert.deepEqual(cache.informer.list(), [{ apiVersion: 'x', metadata: pool.metadata }]);
});

test('a listener, an index or a transform that throws is logged, and harms nobody else', async () => {
  const fail = (): never => {
    throw new Error('mine');
  };
  cache.begin({
    transform: (object) => (object.metadata.name === 'a' ? fail() : object),
    indexes: { bad: fail, name: ({ metadata }) => [metadata.name] },
  });
  cache.informer.onChange(fail);
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(event('ADDED', configMap('b', '11')));
  assert.deepEqual(await cache.changes.next(), [undefined, 'b@11']);
  assert.deepEqual(cache.informer.byIndex('name', 'a').map(shown), ['a@1']);
  assert.deepEqual(cache.informer.byIndex('bad', 'a'), []);
  const seen = new Set<string>();
  while (cache.rig.warnings.count > 0) seen.add((await cache.rig.warnings.next()).msg);
  assert.deepEqual([...seen].sort(), [
    'a listener of the cache failed',
    'a transform of the cache failed; the object is kept whole',
    'an index of the cache failed',
  ]);
});

test('indexes follow changes', async () => {
  cache.begin({ indexes: { at: ({ data }) => [data?.at ?? ''] } });
  const stream = await cache.following('10', configMap('a', '1'), configMap('b', '1'));
  assert.deepEqual(cache.informer.byIndex('at', '1').map(shown), ['a@1', 'b@1']);
  stream.events(event('MODIFIED', configMap('a', '2')), event('DELETED', configMap('b', '3')));
  await cache.changes.next();
  await cache.changes.next();
  assert.deepEqual([cache.informer.byIndex('at', '1'), cache.informer.byIndex('at', '2').map(shown)], [[], ['a@2']]);
});

test('cached objects cannot be changed where that is asked for', async () => {
  cache.begin({ freeze: true });
  await cache.following('10', configMap('a', '1'));
  const [a] = cache.informer.list();
  assert.ok(a?.data);
  const { data } = a;
  assert.throws(() => {
    data.at = 'x';
  }, TypeError);
  assert.throws(() => {
    a.metadata.labels = {};
  }, TypeError);
});

test('who unsubscribes is told nothing more', async () => {
  cache.begin();
  let told = 0;
  const end = cache.informer.onChange(() => void told++);
  const stream = await cache.following('10', configMap('a', '1'));
  end();
  stream.events(event('MODIFIED', configMap('a', '11')));
  await cache.changes.next();
  assert.equal(told, 1);
});
