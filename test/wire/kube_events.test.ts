import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { EventRecorder } from '../../controller/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../controller/kube/finalizers.ts';
import type { KubeEvent } from '../../controller/kube/objects.ts';
import { CONFIG_MAPS } from '../../controller/kube/resources.ts';
import { type Exchange, type Rig, startRig } from '../support/scripted_api.ts';

/** Events and finalizers on their way to the API server. */

let rig: Rig;
let recorder: EventRecorder;
beforeEach(async () => {
  rig = await startRig();
  const { client, clock, log } = rig;
  recorder = new EventRecorder({
    ...{ client, clock, log, random: { fraction: () => 0.5, id: (length) => 'x'.repeat(length) } },
    component: 'rtvoice-controller',
    instance: 'pod-1',
  });
});
afterEach(async () => {
  await Promise.all([recorder.close(), rig[Symbol.asyncDispose]()]);
});

const pool = {
  ...{ apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool' },
  metadata: { namespace: 'calls', name: 'desk', uid: 'u1', resourceVersion: '7' },
};
const sent = (exchange: Exchange) => exchange.body as KubeEvent;

/** Answers everything with success; what was sent, as `POST note` or `PATCH count`. */
function record(): string[] {
  const seen: string[] = [];
  rig.api.serve((exchange) => {
    seen.push(`${exchange.method} ${sent(exchange).note ?? sent(exchange).series?.count}`);
    exchange.json(200, {});
  });
  return seen;
}

test('an event has what the API asks for', async () => {
  recorder.event(pool, 'Normal', 'ScaledUp', 'from 1 to 2 workers');
  const exchange = await rig.api.next();
  exchange.json(201, {});
  const { metadata, ...rest } = sent(exchange);
  assert.deepEqual([exchange.method, exchange.path], ['POST', '/apis/events.k8s.io/v1/namespaces/calls/events']);
  assert.match(metadata.name, /^desk\.[a-z0-9]{16}$/);
  assert.deepEqual(rest, {
    ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event', type: 'Normal', reason: 'ScaledUp', action: 'ScaledUp' },
    ...{ note: 'from 1 to 2 workers', eventTime: '2026-01-01T00:00:00.000000Z' },
    ...{ reportingController: 'rtvoice-controller', reportingInstance: 'pod-1' },
    regarding: {
      ...{ apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool' },
      ...{ namespace: 'calls', name: 'desk', uid: 'u1', resourceVersion: '7' },
    },
  });
});

test('what is longer than the API allows is cut between characters', async () => {
  const name = 'n'.repeat(253);
  recorder.event({ ...pool, metadata: { name } }, 'Warning', 'r'.repeat(200), 'é'.repeat(600), 'a'.repeat(200));
  const exchange = await rig.api.next();
  exchange.json(201, {});
  const { metadata, note, reason, action, regarding } = sent(exchange);
  assert.deepEqual([note, reason, action], ['é'.repeat(512), 'r'.repeat(128), 'a'.repeat(128)]);
  assert.ok(metadata.name.length <= 253);
  assert.deepEqual([metadata.namespace, regarding.namespace], ['default', undefined], 'an object outside namespaces');
});

test('an event seen again is the same one that counts; ten minutes later it is a new one', async () => {
  const seen = record();
  const tell = () => recorder.event(pool, 'Warning', 'Frozen', 'no figures');
  tell();
  tell();
  rig.clock.advance(600_000);
  tell();
  await recorder.flushed();
  rig.clock.advance(600_001);
  tell();
  await recorder.flushed();
  assert.deepEqual(seen, ['POST no figures', 'PATCH 2', 'PATCH 3', 'POST no figures']);
});

test('events stand in the order in which they happened, although the first is slow', async () => {
  recorder.event(pool, 'Normal', 'First', '1');
  recorder.event(pool, 'Normal', 'Second', '2');
  const first = await rig.api.next();
  await rig.assertQuiet();
  first.json(201, {});
  const second = await rig.api.next();
  assert.deepEqual([sent(first).reason, sent(second).reason], ['First', 'Second']);
  second.json(201, {});
});

test('an object that floods is cut off at 25', async () => {
  const seen = record();
  for (let i = 0; i < 100; i++) recorder.event(pool, 'Normal', 'Flood', 'same');
  await recorder.flushed();
  assert.equal(seen.length, 25);
});

test('a server that is away gets the event when it is back, and it is written once', async () => {
  recorder.event(pool, 'Normal', 'ScaledUp', 'x');
  (await rig.api.next()).reset();
  await rig.clock.timer(5_000);
  rig.clock.advance(5_000);
  (await rig.api.next()).refuse(503, 'ServiceUnavailable');
  // Two are the time-outs of the requests.
  for (let timer = 1; timer <= 3; timer++) await rig.clock.timer(10_000);
  rig.clock.advance(10_000);
  // The try before was done after all.
  (await rig.api.next()).refuse(409, 'AlreadyExists');
  await recorder.flushed();
  assert.equal(rig.warnings.count, 0);
});

test('an event that has gone meanwhile is written anew, and one that is refused is given up with a warning', async () => {
  recorder.event(pool, 'Normal', 'ScaledUp', 'x');
  (await rig.api.next()).json(201, {});
  recorder.event(pool, 'Normal', 'ScaledUp', 'x');
  (await rig.api.next()).refuse(404, 'NotFound');
  const again = await rig.api.next();
  assert.equal(again.method, 'POST');
  again.refuse(403, 'Forbidden');
  const warning = await rig.warnings.next();
  assert.deepEqual([warning.msg, warning.reason], ['an event could not be written', 'ScaledUp']);
  await rig.assertQuiet();
});

test('a thousand may wait; more are lost with one warning, and nobody waits for them', async () => {
  for (let i = 0; i < 1_010; i++) {
    recorder.event({ ...pool, metadata: { ...pool.metadata, uid: `u${i}` } }, 'Normal', 'Much', 'x');
  }
  const warning = await rig.warnings.next();
  assert.equal(warning.msg, 'events are lost: too many wait');
  assert.equal(rig.warnings.count, 0);
  const first = await rig.api.next();
  const seen = record();
  first.json(201, {});
  await recorder.flushed();
  assert.equal(seen.length, 999);
});

test('a recorder that is closed waits for nobody', async () => {
  recorder.event(pool, 'Normal', 'ScaledUp', 'x');
  (await rig.api.next()).reset();
  await rig.clock.timer(5_000);
  await recorder.close();
  assert.equal((await rig.warnings.next()).msg, 'an event could not be written');
});

test('a finalizer is added and removed with the version that was seen, and only if there is something to do', async () => {
  const { api, client } = rig;
  const object = { metadata: { namespace: 'calls', name: 'x', resourceVersion: '3', finalizers: ['other'] } };
  const rows = [
    [addFinalizer, object, ['other', 'ours']],
    [removeFinalizer, { metadata: { ...object.metadata, finalizers: ['ours', 'other'] } }, ['other']],
  ] as const;
  for (const [change, given, finalizers] of rows) {
    const done = change(
      client,
      CONFIG_MAPS,
      { metadata: { ...given.metadata, finalizers: [...given.metadata.finalizers] } },
      'ours',
    );
    const exchange = await api.next();
    assert.equal(exchange.headers['content-type'], 'application/merge-patch+json');
    assert.deepEqual(exchange.body, { metadata: { resourceVersion: '3', finalizers } });
    exchange.json(200, {});
    await done;
  }
  await addFinalizer(client, CONFIG_MAPS, object, 'other');
  await removeFinalizer(client, CONFIG_MAPS, object, 'ours');
  await rig.assertQuiet();
});

test('a finalizer on an object that is newer or gone is left to the next pass; other refusals are told', async () => {
  const { api, client } = rig;
  const object = { metadata: { namespace: 'calls', name: 'x' } };
  for (const [status, isTold] of [
    [409, false],
    [404, false],
    [403, true],
  ] as const) {
    const done = addFinalizer(client, CONFIG_MAPS, object, 'ours');
    (await api.next()).refuse(status, 'Reason');
    if (isTold) await assert.rejects(done, /Reason/);
    else await done;
  }
});
