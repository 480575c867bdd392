import './messaging_timers.ts';
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { WebSocket } from 'ws';
import { feed as feedCommand } from '../../cli/feed.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { startServiceBus } from '../../simulators/servicebus/server.ts';
import { startWebPubSub } from '../../simulators/webpubsub/server.ts';
import { type AnalyticsEvent, AnalyticsStream, openEventHub } from '../../state/messaging/analytics_stream.ts';
import { type FeedMessage, LiveFeed, openPubSub } from '../../state/messaging/live_feed.ts';
import { metric } from './messaging_bench.ts';
import { makeTls } from './tls.ts';

const event = (callConnectionId: string, turns: number): AnalyticsEvent => ({
  callConnectionId,
  type: 'turn',
  atMs: 1,
  turns,
});

async function analytics(t: TestContext, more: { maxEvents?: number } = {}) {
  const bus = await startServiceBus({ hubs: { analytics: { partitions: 3 } } });
  const endpoint = { kind: 'connectionString', connectionString: bus.connectionString } as const;
  const producer = openEventHub(endpoint, 'analytics', { timeoutInMs: 1_000, maxRetries: 0 });
  const registry = createRegistry({ processMetrics: false });
  const stream = new AnalyticsStream({ producer, clock: systemClock, log: silentLog, registry, ...more });
  t.after(async () => {
    await stream.stop();
    await bus.stop();
  });
  return { bus, hub: bus.hub('analytics'), stream, registry };
}

const bodyOf = (message: { body?: unknown }) =>
  JSON.parse((message.body as { content: Buffer }).content.toString('utf8')) as AnalyticsEvent;

test('events of a call stand in one partition in their order', async (t) => {
  const { hub, stream, registry } = await analytics(t);
  const calls = Array.from({ length: 9 }, (_, index) => `call-${index}`);
  for (let turns = 1; turns <= 5; turns++) for (const call of calls) stream.record(event(call, turns));
  await stream.flush();
  const logs = hub.partitionIds.map((id) => (hub.partition(id) ?? []).map(({ message }) => bodyOf(message)));
  for (const call of calls) {
    const holding = logs.filter((log) => log.some((each) => each.callConnectionId === call));
    assert.equal(holding.length, 1);
    assert.deepEqual(
      holding[0]?.filter((each) => each.callConnectionId === call).map(({ turns }) => turns),
      [1, 2, 3, 4, 5],
    );
  }
  assert.ok(logs.filter((log) => log.length > 0).length > 1);
  assert.equal(await metric(registry, 'rtvoice_analytics_events_total', 'sent'), 45);
});

test('analytics fail open: beyond the bound the oldest is dropped, an absent hub costs the events and nothing else', async (t) => {
  const { bus, hub, stream, registry } = await analytics(t, { maxEvents: 3 });
  for (let turns = 1; turns <= 5; turns++) stream.record(event('call', turns));
  assert.equal(stream.waiting, 3);
  assert.equal(await metric(registry, 'rtvoice_analytics_events_total', 'dropped'), 2);
  bus.faults.down = true;
  await stream.flush();
  assert.equal(await metric(registry, 'rtvoice_analytics_events_total', 'failed'), 3);
  bus.faults.down = false;
  stream.record(event('call', 6));
  await stream.flush();
  assert.equal(await metric(registry, 'rtvoice_analytics_events_total', 'sent'), 1);
  assert.equal(hub.partitionIds.flatMap((id) => hub.partition(id) ?? []).length, 1);
});

async function feed(t: TestContext, includeText: boolean) {
  const tls = await makeTls();
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, tls.caPem]);
  t.after(() => setDefaultCACertificates(before));
  const pubsub = await startWebPubSub({ tls });
  t.after(() => pubsub.stop());
  const client = openPubSub({ kind: 'connectionString', connectionString: pubsub.connectionString }, 'rtvoice');
  const registry = createRegistry({ processMetrics: false });
  const live = new LiveFeed({
    client,
    group: 'calls',
    includeText,
    clock: systemClock,
    log: silentLog,
    registry,
    maxCalls: 3,
  });
  return { pubsub, live, registry, caPem: tls.caPem };
}

/** A supervisor's browser: connects with what the feed, or the command, gives it. */
async function viewer(t: TestContext, live: Pick<LiveFeed, 'viewer'>, ca: string) {
  const { url, token } = await live.viewer('supervisor-1');
  const socket = new WebSocket(`${url}?access_token=${token}`, 'json.webpubsub.azure.v1', { ca });
  const frames = new EventEmitter();
  const seen: Record<string, unknown>[] = [];
  socket.on('message', (data) => {
    seen.push(JSON.parse(String(data)) as Record<string, unknown>);
    frames.emit('frame');
  });
  t.after(() => socket.terminate());
  const next = async (type: string) => {
    const signal = AbortSignal.timeout(10_000);
    for (;;) {
      const at = seen.findIndex((frame) => frame.type === type);
      if (at >= 0) return seen.splice(at, 1)[0] as Record<string, unknown>;
      await once(frames, 'frame', { signal });
    }
  };
  await next('system');
  return { socket, next };
}

test('a viewer gets the latest state of each call, without text, and may neither publish nor join', async (t) => {
  const { live, registry, caPem } = await feed(t, false);
  const { socket, next } = await viewer(t, live, caPem);
  for (let turns = 0; turns <= 4; turns++)
    live.publish({
      callConnectionId: 'call-1',
      state: turns === 0 ? 'started' : 'inProgress',
      turns,
      atMs: turns,
      text: 'secret',
    });
  live.publish({ callConnectionId: 'call-2', state: 'ended', turns: 7, atMs: 9 });
  await live.flush();
  const { from, group, data } = await next('message');
  assert.deepEqual([from, group], ['group', 'calls']);
  assert.deepEqual((data as FeedMessage).updates, [
    { callConnectionId: 'call-1', state: 'inProgress', turns: 4, atMs: 4 },
    { callConnectionId: 'call-2', state: 'ended', turns: 7, atMs: 9 },
  ]);
  assert.equal(await metric(registry, 'rtvoice_live_feed_updates_total', 'coalesced'), 4);
  socket.send(JSON.stringify({ type: 'sendToGroup', group: 'calls', ackId: 1, dataType: 'json', data: {} }));
  socket.send(JSON.stringify({ type: 'joinGroup', group: 'others', ackId: 2 }));
  for (const ackId of [1, 2]) {
    const answer = await next('ack');
    assert.deepEqual(
      [answer.ackId, answer.success, (answer.error as { name: string }).name],
      [ackId, false, 'Forbidden'],
    );
  }
});

test('the command gives a supervisor the way in', async (t) => {
  const { live, pubsub, caPem } = await feed(t, false);
  const env = { RTVOICE_PUBSUB_CONNECTION_STRING: pubsub.connectionString, RTVOICE_PUBSUB_HUB: 'rtvoice' };
  const told: string[] = [];
  const io = { out: (text: string) => void told.push(text), err: () => undefined, colour: false };
  const byCommand = {
    viewer: async (user: string) => {
      assert.equal(await feedCommand(['token', '--user', user, '--minutes', '5'], io, env), 0);
      return JSON.parse(told.join('')) as { url: string; token: string };
    },
  };
  const { next } = await viewer(t, byCommand, caPem);
  live.publish({ callConnectionId: 'call-1', state: 'started', turns: 0, atMs: 1 });
  await live.flush();
  assert.equal(((await next('message')).data as FeedMessage).updates[0]?.callConnectionId, 'call-1');
  await assert.rejects(feedCommand(['token', '--user', 'x'], io, {}), { code: 'ERR_FEED_NOT_NAMED' });
  assert.equal(await feedCommand(['token', '--user', 'x', '--minutes', '0'], io, env), 2);
});

test('text goes out only where the setting says so', async (t) => {
  const { live, caPem } = await feed(t, true);
  const { next } = await viewer(t, live, caPem);
  live.publish({ callConnectionId: 'call-1', state: 'inProgress', turns: 1, atMs: 1, text: 'hello' });
  await live.flush();
  assert.equal(((await next('message')).data as FeedMessage).updates[0]?.text, 'hello');
});

test('the feed fails open and is bounded', async (t) => {
  const { pubsub, live, registry } = await feed(t, false);
  pubsub.faults.down = true;
  for (let call = 1; call <= 5; call++)
    live.publish({ callConnectionId: `call-${call}`, state: 'started', turns: 0, atMs: call });
  assert.equal(await metric(registry, 'rtvoice_live_feed_updates_total', 'dropped'), 2);
  await live.flush();
  assert.equal(await metric(registry, 'rtvoice_live_feed_updates_total', 'failed'), 3);
  pubsub.faults.down = false;
  live.publish({ callConnectionId: 'call-6', state: 'started', turns: 0, atMs: 6 });
  await live.flush();
  assert.equal(await metric(registry, 'rtvoice_live_feed_updates_total', 'sent'), 1);
});
