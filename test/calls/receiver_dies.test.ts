import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { newCallRef, ringId } from '../../contract/ids.ts';
import type { RingRecord } from '../../contract/records.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { Fleet } from '../support/fleet.ts';
import { assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

/** Takes rings as a worker does, places them, acknowledges them, and then is gone before it tells the owner. */
async function startDyingReceiver(
  redisUrl: string,
): Promise<{ url: string; placed: () => number; stop(): Promise<void> }> {
  const registry = createRegistry({ processMetrics: false });
  const redis = new RedisClient({ url: redisUrl, role: 'fastFail', clock: systemClock, log: silentLog, registry });
  await redis.ready();
  const keys = new RedisKeyManager({ environment: 'test' });
  const leases = new RedisLeaseTable({ client: redis, keys, pool: { namespace: 'local', pool: 'desk' } });
  let placed = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const [event] = JSON.parse(Buffer.concat(chunks).toString()) as [
      { eventType: string; data: Record<string, never> },
    ];
    if (event.eventType.endsWith('SubscriptionValidationEvent')) {
      response.end(JSON.stringify({ validationResponse: event.data.validationCode }));
      return;
    }
    const { correlationId, incomingCallContext, serverCallId } = event.data as Record<string, string>;
    const ring: RingRecord = {
      v: 1,
      ringId: ringId(correlationId ?? '', incomingCallContext ?? ''),
      correlationId: correlationId ?? '',
      incomingCallContext: incomingCallContext ?? '',
      from: '4:+15550100',
      to: '4:+15550199',
      serverCallId: serverCallId ?? '',
    };
    const outcome = await leases.place({ ring, newCallRef: newCallRef(systemRandom), strategy: 'Spread' });
    if (outcome.kind === 'placed') placed += 1;
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/p/local/desk/events`,
    placed: () => placed,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await redis.close();
    },
  };
}

test('a receiver that dies between placing a ring and telling its owner loses no call', async () => {
  const fleet = await Fleet.start();
  const receiver = await startDyingReceiver(fleet.redis.url);
  try {
    const call = fleet.azure.placeCall({ ringUrl: receiver.url, script: codes(2) });
    const record = await call.done;
    assert.equal(receiver.placed(), 1);
    assert.equal(record.outcome, 'answered', 'the owner found the lease in its next renewal');
    assert.equal(record.answers, 1);
    await untilArchived(fleet, record.callConnectionId ?? '');
    await assertWholeTranscript(fleet, record.callConnectionId ?? '', 2);
  } finally {
    await receiver.stop();
    await fleet.stop();
  }
});
