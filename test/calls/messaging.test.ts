import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServiceBus } from '../../simulators/servicebus/server.ts';
import type { AnalyticsEvent } from '../../state/messaging/analytics_stream.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, code, codes, untilArchived } from '../support/story.ts';

const HUB = 'rtvoice-analytics';

test('records go through Service Bus to Cosmos DB, in order, and analytics with them', async (t) => {
  const bus = await startServiceBus({ queues: { 'rtvoice-records': {} }, hubs: { [HUB]: { partitions: 2 } } });
  t.after(() => bus.stop());
  const env = {
    RTVOICE_RECORD_TRANSPORT: 'ServiceBus',
    RTVOICE_SERVICEBUS_CONNECTION_STRING: bus.connectionString,
    RTVOICE_EVENTHUB_CONNECTION_STRING: bus.connectionString,
  };
  const fleet = await Fleet.start({ env });
  t.after(() => fleet.stop());
  const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(4, { pauseMs: 100 }) });
  const id = await answeredTurns(call, 4);
  await untilArchived(fleet, id, 60_000);
  const documents = fleet.azure.cosmos
    .documents('rtvoice', 'transcripts')
    .filter((each) => each.callConnectionId === id);
  assert.deepEqual(
    documents.filter(({ role }) => role === 'caller').map(({ text }) => text),
    [1, 2, 3, 4].map(code),
  );
  await until(() => fleet.azure.cosmos.documents('rtvoice', 'analytics').length === 1, 'the figures are archived');
  const [figures] = fleet.azure.cosmos.documents('rtvoice', 'analytics');
  assert.deepEqual([figures?.callConnectionId, figures?.turns, figures?.reason], [id, 8, 'callerHangUp']);

  const hub = bus.hub(HUB);
  const events = () =>
    hub.partitionIds.flatMap((partition) =>
      (hub.partition(partition) ?? []).map(
        ({ message }) => JSON.parse((message.body as { content: Buffer }).content.toString('utf8')) as AnalyticsEvent,
      ),
    );
  await until(() => events().some(({ type }) => type === 'callEnded'), 'the end is told');
  const told = events().filter((event) => event.callConnectionId === id);
  assert.equal(told[0]?.type, 'callStarted');
  assert.equal(told.filter(({ type }) => type === 'turn').length, 8);
  assert.deepEqual([told.at(-1)?.type, told.at(-1)?.turns, told.at(-1)?.pool], ['callEnded', 4, 'local.desk']);
  assert.ok(!JSON.stringify(told).includes(code(1)), 'what was said is none of their business');
});
