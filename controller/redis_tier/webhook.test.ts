import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { seededRandom } from '../../platform/random.ts';
import { JumpClock } from '../../test/support/jump_clock.ts';
import type { ScaleRequest } from './ports.ts';
import { WebhookActuator } from './webhook.ts';

const KEY = 'a signing key';
const REQUEST: ScaleRequest = {
  key: 'key-1',
  pool: { namespace: 'voice', pool: 'desk' },
  needs: ['memory'],
  load: { memory: 74.5, clients: undefined, operations: 10 },
  thresholds: { memory: 70, clients: 80, operations: 10_000 },
  atMs: Date.UTC(2026, 2, 1),
};

interface Seen {
  headers: IncomingMessage['headers'];
  body: string;
  atMs: number;
}

/** Sends one request to a receiver that answers with `replies` in turn, the last one from then on. */
async function send(
  replies: readonly (number | RequestListener)[],
  { abortAfter = Number.POSITIVE_INFINITY, signingKey = KEY }: { abortAfter?: number; signingKey?: string } = {},
) {
  const clock = new JumpClock();
  const seen: Seen[] = [];
  const abort = new AbortController();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push({ headers: request.headers, body, atMs: clock.monotonicMs() });
    if (seen.length >= abortAfter) return abort.abort(new Error('stopped'));
    const reply = replies[Math.min(seen.length, replies.length) - 1];
    if (typeof reply === 'function') reply(request, response);
    else response.writeHead(reply ?? 500).end('x');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  const actuator = new WebhookActuator({
    ...{ url, signingKey, keyName: 'HOOK', clock, random: seededRandom(1), timeoutMs: 250 },
  });
  try {
    const outcome = await actuator.scaleUp(REQUEST, { signal: abort.signal, onAccepted: () => undefined });
    return { outcome, seen };
  } finally {
    await actuator.close();
    server.close();
    server.closeAllConnections();
  }
}

describe('the webhook that enlarges Redis', () => {
  it('is told what, and can prove who said it', async () => {
    const { outcome, seen } = await send([204]);
    assert.equal(outcome.kind, 'done');
    const [first] = seen;
    assert.deepEqual(JSON.parse(first?.body ?? ''), {
      v: 1,
      event: 'RedisScaleNeeded',
      id: 'key-1',
      time: '2026-03-01T00:00:00.000Z',
      pool: { namespace: 'voice', name: 'desk' },
      needs: [{ resource: 'memory', value: 74.5, threshold: 70 }],
    });
    assert.equal(first?.headers['idempotency-key'], 'key-1');
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(first?.headers['x-rtvoice-signature'])) ?? [];
    assert.equal(v1, createHmac('sha256', KEY).update(`${t}.${first?.body}`).digest('hex'));
    assert.equal(Math.floor((Date.UTC(2026, 0, 1) + (first?.atMs ?? 0)) / 1000), Number(t));
  });

  it('is asked again under the same key and a new signature while it is busy or silent, a bounded number of times', async () => {
    const { outcome, seen } = await send([503, () => undefined, 429, 200]);
    assert.equal(outcome.kind, 'done');
    assert.equal(new Set(seen.map(({ headers }) => headers['idempotency-key'])).size, 1);
    assert.ok(new Set(seen.map(({ headers }) => headers['x-rtvoice-signature'])).size > 1);
    const away = await send([500]);
    assert.deepEqual([away.outcome.kind, away.seen.length], ['failed', 4]);
    assert.match(away.outcome.message, /answers 500, 4 times/);
  });

  it('waits as long as it asks for, within bounds', async () => {
    const asked = (seconds: number): RequestListener => {
      return (_request, response) => response.writeHead(429, { 'retry-after': String(seconds) }).end();
    };
    const { seen } = await send([asked(7), asked(86_400), 200]);
    const [first = 0, second = 0, third = 0] = seen.map(({ atMs }) => atMs);
    assert.ok(second - first >= 7_000, `${second - first} ms`);
    assert.ok(third - second >= 30_000, `${third - second} ms`);
  });

  it('is not asked again when it refuses, and no redirect is followed', async () => {
    for (const status of [400, 401, 404, 302]) {
      const { outcome, seen } = await send([status]);
      assert.deepEqual([outcome.kind, seen.length], ['refused', 1], String(status));
    }
  });

  it('is sent nothing that nobody could check', async () => {
    const { outcome, seen } = await send([200], { signingKey: '' });
    assert.deepEqual([outcome.kind, seen.length], ['refused', 0]);
    assert.match(outcome.message, /no key HOOK/);
  });

  it('is left alone when the controller stops', async () => {
    await assert.rejects(send([500], { abortAfter: 2 }), /stopped/);
  });
});
