import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { HeartbeatRecord } from '../../contract/records.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { Telemetry } from './telemetry.ts';

const METRICS = 'rtvoice_active_calls 3\nrtvoice_call_capacity 8\n';
const BEAT: HeartbeatRecord = {
  v: 1,
  worker: 'w',
  incarnation: 'i1',
  endpoint: 'http://h:1',
  activeCalls: 5,
  slots: 8,
  memoryBytes: 1,
  memoryLimitBytes: 2,
  memoryBaselineBytes: 1,
  eventLoopLagMs: 0,
  relayedSockets: 1,
  unsentRecords: 4,
  admits: false,
};

async function withListener(
  listener: RequestListener,
  heartbeat: HeartbeatRecord | undefined,
  body: (telemetry: Telemetry, target: { worker: string; incarnation: string; endpoint: string }) => Promise<void>,
): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clock = new ManualClock();
  clock.advance(10_000);
  const telemetry = new Telemetry({ clock, internalKey: 'key', heartbeat: async () => heartbeat, timeoutMs: 300 });
  try {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await body(telemetry, { worker: 'w', incarnation: 'i1', endpoint });
  } finally {
    await telemetry.close();
    server.close();
    server.closeAllConnections();
  }
}

describe('telemetry', () => {
  it('scrapes with the internal key, and tells the figures of that incarnation only', () =>
    withListener(
      (request, response) =>
        response.writeHead(request.headers.authorization === 'Bearer key' ? 200 : 401).end(METRICS),
      undefined,
      async (telemetry, target) => {
        await telemetry.refresh([target]);
        const seen = telemetry.of('w', 'i1');
        assert.deepEqual([seen?.figures.activeCalls, seen?.source, seen?.observedAtMs], [3, 'metrics', 10_000]);
        assert.equal(telemetry.of('w', 'i2'), undefined);
        await telemetry.refresh([]);
        assert.equal(telemetry.of('w', 'i1'), undefined);
      },
    ));

  const broken: [string, RequestListener][] = [
    ['never answers', () => undefined],
    ['answers without end', (_request, response) => void response.write('rtvoice_active_calls 1\n')],
    ['answers too much', (_request, response) => void response.end(METRICS + '#'.repeat(2 * 2 ** 20))],
    ['refuses', (_request, response) => void response.writeHead(401).end()],
    ['answers something else', (_request, response) => void response.end('hello')],
  ];
  for (const [name, listener] of broken) {
    it(`falls back to the heartbeat when a worker ${name}`, () =>
      withListener(listener, BEAT, async (telemetry, target) => {
        await telemetry.refresh([target]);
        const seen = telemetry.of('w', 'i1');
        assert.deepEqual([seen?.source, seen?.figures.activeCalls, seen?.figures.callCapacity], ['heartbeat', 5, 0]);
        assert.equal(seen?.observedAtMs, 5_000, 'a heartbeat may be as old as its life');
      }));
  }

  it('has no figures when both fail, or the heartbeat is of an earlier incarnation', () =>
    withListener(
      (_request, response) => response.writeHead(500).end(),
      { ...BEAT, incarnation: 'i0' },
      async (telemetry, target) => {
        await telemetry.refresh([target]);
        assert.equal(telemetry.of('w', 'i1'), undefined);
      },
    ));
});
