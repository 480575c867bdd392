import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { isBusy, isConflict, isGone, isInvalid, isRetryable, KubeError } from '../../controller/kube/errors.ts';
import { CONFIG_MAPS, NODES, PODS, POOLS } from '../../controller/kube/resources.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import { type Rig, startRig } from '../support/scripted_api.ts';

/** The client against a server that answers as the test says: what goes over the wire, and what comes of each bad answer. */

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig[Symbol.asyncDispose]());

const ref = { namespace: 'calls', name: 'one' };
const away = (detail: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RtvoiceError);
  assert.equal(error.code, 'ERR_KUBE_AWAY');
  assert.match(error.detail ?? '', detail);
  assert.ok(isRetryable(error));
  return true;
};

test('every verb has its method, path, query, content type and body', async () => {
  const { api, client } = rig;
  const object = { metadata: { namespace: 'calls', name: 'one' }, data: { a: 'b' } };
  const typed = { ...object, apiVersion: 'v1', kind: 'ConfigMap' };
  const pool = { metadata: { namespace: 'calls', name: 'desk' }, status: { phase: 'Ready' } };
  const typedPool = { ...pool, apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool' };
  const one = '/api/v1/namespaces/calls/configmaps/one';
  const all = '/api/v1/namespaces/calls/configmaps';
  const status = '/apis/rtvoice.dev/v1alpha1/namespaces/calls/voiceworkerpools/desk/status';
  const json = 'application/json';
  const rows: [() => Promise<unknown>, string, string, Record<string, string>, string | undefined, unknown][] = [
    [() => client.get(CONFIG_MAPS, ref), 'GET', one, {}, undefined, undefined],
    [() => client.get(NODES, { name: 'n/1' }), 'GET', '/api/v1/nodes/n%2F1', {}, undefined, undefined],
    [() => client.list(PODS), 'GET', '/api/v1/pods', {}, undefined, undefined],
    [
      () => client.list(PODS, { namespace: 'calls', labelSelector: 'a=b', limit: 2, continue: 'x' }),
      ...(['GET', '/api/v1/namespaces/calls/pods'] as const),
      { labelSelector: 'a=b', limit: '2', continue: 'x' },
      ...([undefined, undefined] as const),
    ],
    [() => client.create(CONFIG_MAPS, object), 'POST', all, {}, json, typed],
    [() => client.create(CONFIG_MAPS, object, { dryRun: true }), 'POST', all, { dryRun: 'All' }, json, typed],
    [() => client.update(CONFIG_MAPS, object), 'PUT', one, {}, json, typed],
    [
      () => client.apply(CONFIG_MAPS, object, { fieldManager: 'us' }),
      ...(['PATCH', one, { fieldManager: 'us', force: 'true' }, 'application/apply-patch+yaml', typed] as const),
    ],
    [
      () => client.applyStatus(POOLS, pool, { fieldManager: 'us', force: false }),
      ...([
        'PATCH',
        status,
        { fieldManager: 'us', force: 'false' },
        'application/apply-patch+yaml',
        typedPool,
      ] as const),
    ],
    [
      () => client.patch(CONFIG_MAPS, ref, { data: null }, 'merge', { fieldManager: 'us' }),
      ...(['PATCH', one, { fieldManager: 'us' }, 'application/merge-patch+json', { data: null }] as const),
    ],
    [
      () =>
        client.patch(POOLS, { ...ref, name: 'desk' }, [{ op: 'remove', path: '/a' }], 'json', {
          subresource: 'status',
        }),
      ...(['PATCH', status, {}, 'application/json-patch+json', [{ op: 'remove', path: '/a' }]] as const),
    ],
    [
      () => client.delete(PODS, ref, { uid: 'u', resourceVersion: '7', gracePeriodSeconds: 0 }),
      ...(['DELETE', '/api/v1/namespaces/calls/pods/one', {}, json] as const),
      {
        ...{ kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 },
        preconditions: { uid: 'u', resourceVersion: '7' },
      },
    ],
  ];
  for (const [call, method, path, query, contentType, body] of rows) {
    const done = call();
    const exchange = await api.next();
    exchange.json(200, { items: [] });
    await done;
    const { 'content-type': sentType, authorization, accept, 'user-agent': agent } = exchange.headers;
    assert.deepEqual([exchange.method, exchange.path, { ...exchange.query }], [method, path, query]);
    assert.deepEqual([sentType, exchange.body], [contentType, body]);
    assert.deepEqual([authorization, accept, agent], ['Bearer secret', json, 'rtvoice-controller']);
  }
  assert.ok(api.connections <= 2, 'connections are used again');
});

test('what is not there is undefined or absent', async () => {
  const { api, client } = rig;
  api.serve((exchange) => exchange.refuse(404, 'NotFound'));
  assert.equal(await client.get(PODS, ref), undefined);
  assert.equal(await client.delete(PODS, ref), 'absent');
});

test('a refusal says why, and which fields are at fault', async () => {
  const { api, client } = rig;
  api.serve((exchange) =>
    exchange.json(422, {
      ...{ kind: 'Status', code: 422, reason: 'Invalid', message: 'spec.a is wrong' },
      details: { causes: [{ reason: 'FieldValueInvalid', field: 'spec.a', message: 'must be 1' }] },
    }),
  );
  await assert.rejects(client.create(CONFIG_MAPS, { metadata: ref }), (error) => {
    assert.ok(error instanceof KubeError && isInvalid(error) && !isRetryable(error));
    assert.deepEqual([error.status, error.reason, error.code], [422, 'Invalid', 'ERR_KUBE_REQUEST']);
    assert.deepEqual(error.causes, [{ field: 'spec.a', message: 'must be 1' }]);
    assert.match(error.message, /POST \/api\/v1\/namespaces\/calls\/configmaps: spec\.a is wrong/);
    return true;
  });
});

test('errors are told apart by what to do about them', () => {
  const error = (status: number) => new KubeError(status, {}, 'x');
  const seen = [400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504].map((status) =>
    [isConflict, isGone, isInvalid, isBusy, isRetryable].map((is) => (is(error(status)) ? 1 : 0)).join(''),
  );
  assert.deepEqual(seen, '00100 00000 00000 00000 10000 01000 00100 00011 00001 00011 00001'.split(' '));
});

for (const status of [429, 503]) {
  test(`${status} with Retry-After is asked again after just that time, once`, async () => {
    const { api, client, clock } = rig;
    const got = client.get(PODS, ref);
    (await api.next()).refuse(status, 'Busy', { 'retry-after': '2' });
    await clock.timer(2_000);
    clock.advance(1_999);
    await rig.assertQuiet();
    clock.advance(1);
    (await api.next()).refuse(status, 'Busy', { 'retry-after': '3' });
    await assert.rejects(
      got,
      (error) => error instanceof KubeError && error.status === status && error.retryAfterMs === 3_000,
    );
    await rig.assertQuiet();
  });
}

test('a wait that is longer than a request may take is left to the caller', async () => {
  const { api, client } = rig;
  for (const [seconds, timeoutMs] of [
    [6, 10_000],
    [2, 1_500],
  ] as const) {
    const got = client.get(PODS, ref, { timeoutMs });
    (await api.next()).refuse(429, 'TooManyRequests', { 'retry-after': String(seconds) });
    await assert.rejects(got, (error) => error instanceof KubeError && error.retryAfterMs === seconds * 1_000);
  }
  await rig.assertQuiet();
});

test('a server that takes a request and never answers costs that request alone', async () => {
  const { api, client, clock } = rig;
  const got = client.get(PODS, ref);
  const stuck = await api.next();
  clock.advance(9_999);
  clock.advance(1);
  await assert.rejects(got, away(/^GET \/api\/v1\/namespaces\/calls\/pods\/one: no answer in 10000 ms$/));
  await stuck.closed;
  const again = client.get(PODS, ref);
  (await api.next()).json(200, { metadata: ref });
  assert.deepEqual(await again, { metadata: ref });
});

test('an answer that stops in the middle is no answer', async () => {
  const { api, client, clock } = rig;
  const got = client.get(PODS, ref, { timeoutMs: 1_000 });
  const half = await api.next();
  half.open();
  half.raw('{"metadata":');
  clock.advance(1_000);
  await assert.rejects(got, away(/no answer in 1000 ms/));
});

test('a caller that gives up is told its own reason', async () => {
  const { api, client } = rig;
  const abort = new AbortController();
  const got = client.list(PODS, {}, { signal: abort.signal });
  const exchange = await api.next();
  const reason = new Error('enough');
  abort.abort(reason);
  await assert.rejects(got, reason);
  await exchange.closed;
});

test('what is no answer of an API server is told without what it was', async () => {
  const { api, client } = rig;
  const rows: [(exchange: Awaited<ReturnType<typeof api.next>>) => void, RegExp][] = [
    [(exchange) => exchange.text(200, '<html>hello</html>'), /: SyntaxError$/],
    [(exchange) => exchange.reset(), /: (ECONNRESET|UND_ERR_SOCKET)$/],
  ];
  for (const [answer, detail] of rows) {
    const got = client.get(PODS, ref);
    answer(await api.next());
    await assert.rejects(got, away(detail));
  }
  const got = client.get(PODS, ref);
  (await api.next()).text(502, '<html>bad gateway</html>');
  await assert.rejects(got, (error) => error instanceof KubeError && error.status === 502 && isRetryable(error));
});

test('an answer without an end is not read to its end', async () => {
  const { api, client } = rig;
  const got = client.get(PODS, ref);
  const exchange = await api.next();
  exchange.open();
  const mebibyte = new Uint8Array(2 ** 20).fill(32);
  for (let i = 0; i < 65; i++) exchange.raw(mebibyte);
  await assert.rejects(got, away(/: RangeError$/));
  await exchange.closed;
});

test('watches that hang never hold up a request', async () => {
  const { api, client } = rig;
  const abort = new AbortController();
  const watches = Array.from({ length: 40 }, () =>
    client.watch(PODS, { resourceVersion: '1', timeoutSeconds: 300 }, abort.signal).next(),
  );
  for (const _ of watches) assert.ok((await api.next()).isWatch);
  const got = client.get(PODS, ref);
  (await api.next()).json(200, { metadata: ref });
  await got;
  abort.abort(new Error('done'));
  assert.equal((await Promise.allSettled(watches)).filter(({ status }) => status === 'rejected').length, 40);
});

test('every request is counted by its status, and one without an answer too', async () => {
  const { api, client, registry } = rig;
  for (const answer of ['ok', 'reset'] as const) {
    const got = client.get(PODS, ref).catch(() => undefined);
    const exchange = await api.next();
    if (answer === 'ok') exchange.json(200, {});
    else exchange.reset();
    await got;
  }
  const text = await registry.metrics();
  const host = `127.0.0.1:${api.port}`;
  assert.match(text, new RegExp(`rest_client_requests_total{[^}]*method="GET",host="${host}",code="200"} 1`));
  assert.match(text, new RegExp(`rest_client_requests_total{[^}]*method="GET",host="${host}",code="<error>"} 1`));
});

test('a closed client breaks off what runs and asks nothing more', async () => {
  const { api, client } = rig;
  const got = client.get(PODS, ref);
  const exchange = await api.next();
  await Promise.all([client.close(), assert.rejects(got, away(/UND_ERR_DESTROYED/))]);
  await exchange.closed;
  await assert.rejects(client.get(PODS, ref), away(/Error/));
  await rig.assertQuiet();
});
