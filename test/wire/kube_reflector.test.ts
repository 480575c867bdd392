import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { bookmark, CacheRig, configMap, event, shown } from '../support/cache_rig.ts';
import type { Exchange } from '../support/scripted_api.ts';

/** The cache against a server that breaks in every way that is known of real ones. Time stands still unless a test moves it. */

let cache: CacheRig;
beforeEach(async () => {
  cache = await CacheRig.start();
});
afterEach(() => cache[Symbol.asyncDispose]());

const FAULTS: readonly [name: string, fault: (watch: Exchange) => void][] = [
  ['500', (watch) => watch.refuse(500, 'InternalError')],
  ['429', (watch) => watch.refuse(429, 'TooManyRequests')],
  ['401', (watch) => watch.refuse(401, 'Unauthorized')],
  ['200 with what is no JSON', (watch) => watch.text(200, '<html>\n')],
  ['a reset before the answer', (watch) => watch.reset()],
];

for (const [name, fault] of FAULTS) {
  test(`a watch answered by ${name} is tried again from the same version, and nothing is lost`, async () => {
    cache.begin();
    (await cache.rig.api.next()).page('10', [configMap('a', '1')]);
    await cache.changes.next();
    fault(await cache.rig.api.next());
    await cache.pass(1_200);
    const stream = await cache.watching('10');
    stream.events(event('MODIFIED', configMap('a', '11')));
    assert.deepEqual(await cache.changes.next(), ['a@1', 'a@11']);
  });

  test(`a list answered by ${name} is tried again`, async () => {
    cache.begin();
    fault(await cache.listing());
    await cache.pass(1_200);
    await cache.following('10', configMap('a', '1'));
  });
}

test('a stream that breaks goes on from the last event', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(event('MODIFIED', configMap('a', '11')));
  await cache.changes.next();
  stream.reset();
  await cache.pass(1_200);
  await cache.watching('11');
});

test('an event cut off in its middle comes whole from the next stream', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  const line = JSON.stringify(event('MODIFIED', configMap('a', '12')));
  stream.events(event('MODIFIED', configMap('a', '11')));
  stream.raw(line.slice(0, line.length / 2));
  await cache.changes.next();
  stream.reset();
  await cache.pass(1_200);
  (await cache.watching('11')).raw(`${line}\n`);
  assert.deepEqual(await cache.changes.next(), ['a@11', 'a@12']);
});

test('an event cut off where the server ends the stream in order is not taken for whole', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.raw(JSON.stringify(event('MODIFIED', configMap('a', '11'))));
  cache.rig.clock.advance(2_000);
  stream.end();
  (await cache.watching('10')).events(event('MODIFIED', configMap('a', '12')));
  assert.deepEqual(await cache.changes.next(), ['a@1', 'a@12']);
});

test('a stream that the server ends in its time is taken up at once, at the bookmark', async () => {
  cache.begin();
  const stream = await cache.following('10', configMap('a', '1'));
  stream.events(bookmark('99'), event('ADDED', configMap('b', '100')), bookmark('150'));
  await cache.changes.next();
  cache.rig.clock.advance(60_000);
  stream.end();
  await cache.watching('150');
});

test('an idle stream is kept for minutes while bookmarks come, and given up when they do not', async () => {
  cache.begin();
  const stream = await cache.following('10');
  for (let minute = 1; minute <= 4; minute++) {
    stream.events(bookmark(String(10 + minute)), event('ADDED', configMap(`a${minute}`, String(10 + minute))));
    await cache.changes.next();
    cache.rig.clock.advance(120_000);
  }
  await cache.rig.assertQuiet();
  cache.rig.clock.advance(30_000);
  await stream.closed;
  await cache.pass(1_200);
  await cache.watching('14');
});

test('a watch that is taken and never answered is given up, and another one made', async () => {
  cache.begin();
  (await cache.rig.api.next()).page('10', []);
  const stuck = await cache.rig.api.next();
  cache.rig.clock.advance(150_000);
  await stuck.closed;
  await cache.pass(1_200);
  await cache.watching('10');
});

test('a server that ends every stream at once is not asked in a storm', async () => {
  cache.begin();
  const stream = await cache.following('10');
  stream.end();
  await cache.pass(1_200);
  (await cache.watching('10')).end();
  await cache.pass(2_400);
  await cache.watching('10');
});

test('the wait doubles from 0.8 s to 10 s with jitter, and starts anew after two quiet minutes', async () => {
  cache.begin();
  await cache.following('10').then((stream) => stream.reset());
  for (const waitMs of [1_200, 2_400, 4_800, 9_600, 15_000, 15_000]) {
    await cache.pass(waitMs);
    (await cache.rig.api.next()).refuse(500, 'InternalError');
  }
  await cache.pass(15_000);
  const stream = await cache.watching('10');
  stream.events(event('ADDED', configMap('a', '11')));
  await cache.changes.next();
  cache.rig.clock.advance(120_001);
  stream.reset();
  await cache.pass(1_200);
  await cache.watching('11');
});

test('a server that asks for a longer wait gets it', async () => {
  cache.begin();
  (await cache.listing()).refuse(429, 'TooManyRequests', { 'retry-after': '7' });
  await cache.pass(7_000);
  const second = await cache.listing();
  second.page('10', []);
  (await cache.rig.api.next()).refuse(503, 'ServiceUnavailable', { 'retry-after': '9' });
  await cache.pass(9_000);
  await cache.watching('10');
});

const GONE: readonly [name: string, fault: (stream: Exchange) => void][] = [
  [
    'in the stream',
    (stream) => {
      stream.open();
      stream.events(event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }));
    },
  ],
  ['as the status', (stream) => stream.refuse(410, 'Expired')],
];

for (const [name, gone] of GONE) {
  test(`a version too old, told ${name}, leads to a list at once; what vanished meanwhile is told as gone`, async () => {
    cache.begin();
    (await cache.rig.api.next()).page('10', [configMap('a', '1'), configMap('b', '2'), configMap('c', '3')]);
    for (let i = 0; i < 3; i++) await cache.changes.next();
    gone(await cache.rig.api.next());
    (await cache.listing()).page('90', [configMap('a', '1'), configMap('b', '80', 'uid-other'), configMap('d', '85')]);
    assert.deepEqual(
      [await cache.changes.next(), await cache.changes.next(), await cache.changes.next(), await cache.changes.next()],
      [
        ['c@3', undefined],
        ['b@2', undefined],
        [undefined, 'other@80'],
        [undefined, 'd@85'],
      ],
    );
    await cache.watching('90');
    assert.equal(cache.changes.count, 0);
  });
}

test('a version that got too old during an outage leads to a list at once (the wait for a dead server was waited once more)', async () => {
  cache.begin();
  await cache.following('10').then((stream) => stream.reset());
  for (const waitMs of [1_200, 2_400, 4_800]) {
    await cache.pass(waitMs);
    (await cache.rig.api.next()).reset();
  }
  await cache.pass(9_600);
  (await cache.rig.api.next()).refuse(410, 'Expired');
  (await cache.listing()).page('90', []);
  await cache.watching('90');
});

test('a server to which every version is too old is not asked in a storm', async () => {
  cache.begin();
  (await cache.rig.api.next()).page('10', []);
  (await cache.rig.api.next()).refuse(410, 'Expired');
  (await cache.listing()).page('10', []);
  await cache.rig.clock.timer(150_000);
  (await cache.rig.api.next()).refuse(410, 'Expired');
  await cache.rig.clock.timer(2_400);
  await cache.rig.assertQuiet();
  cache.rig.clock.advance(2_400);
  await cache.listing();
});

test('a token between two pages that has run out leads to a list in one piece', async () => {
  cache.begin();
  (await cache.listing()).page('10', [configMap('a', '1')], 'page2');
  (await cache.rig.api.next()).refuse(410, 'Expired');
  const whole = await cache.listing();
  assert.equal(whole.query.limit, undefined);
  whole.page('20', [configMap('a', '1'), configMap('b', '2')]);
  await cache.informer.synced();
  assert.deepEqual(cache.informer.list().map(shown), ['a@1', 'b@2']);
  await cache.watching('20');
});

test('an error in the stream other than 410 goes on from the same version', async () => {
  cache.begin();
  const stream = await cache.following('10');
  stream.events(event('ERROR', { kind: 'Status', code: 500, reason: 'InternalError' }));
  await cache.pass(1_200);
  await cache.watching('10');
});

test('a slow list is waited for until its time-out, then asked for again', async () => {
  cache.begin();
  const slow = await cache.listing();
  cache.rig.clock.advance(9_999);
  await cache.rig.assertQuiet();
  cache.rig.clock.advance(1);
  await slow.closed;
  await cache.pass(1_200);
  await cache.following('10', configMap('a', '1'));
});

test('an event that makes no sense is not taken, and the rest comes with the next stream', async () => {
  for (const nonsense of [
    '{"type":"ADDED"}',
    '{"type":"CHANGED","object":{"metadata":{"name":"x"}}}',
    'null',
    '{"type":',
  ]) {
    cache.begin();
    const stream = await cache.following('10', configMap('a', '1'));
    stream.raw(`${nonsense}\n`);
    await cache.pass(1_200);
    (await cache.watching('10')).events(event('MODIFIED', configMap('a', '11')));
    assert.deepEqual(await cache.changes.next(), ['a@1', 'a@11']);
    await cache.informer.stop();
  }
});
