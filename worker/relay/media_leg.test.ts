import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { closeCode, type MediaLeg, openMediaLeg } from './media_leg.ts';

describe('the leg to an owner', () => {
  let clock: ManualClock;
  let server: ReturnType<typeof createServer>;
  let owner: WebSocketServer;
  let endpoint: string;
  let closes: number[];

  beforeEach(async () => {
    clock = new ManualClock();
    closes = [];
    server = createServer();
    // An owner that is alive as a TCP peer and answers no ping: a stopped process.
    owner = new WebSocketServer({ server, autoPong: false });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    for (const client of owner.clients) client.terminate();
    owner.close();
    server.closeAllConnections();
    server.close();
  });

  const open = (signal = new AbortController().signal) => {
    // The leg of the test before may end during this one.
    const own = closes;
    return openMediaLeg({
      endpoint,
      callRef: 'abcdefgh',
      authorization: 'Bearer key',
      headers: { callConnectionId: 'conn-1', correlationId: 'corr-1' },
      handlers: {
        onMessage: () => undefined,
        onClosed: (code) => own.push(code),
      },
      answerMs: 500,
      signal,
      clock,
      log: silentLog,
    });
  };

  async function opened(): Promise<{ leg: MediaLeg; peer: WebSocket; request: IncomingMessage }> {
    const connection = once(owner, 'connection');
    const answer = await open();
    assert.equal(answer.kind, 'served');
    const [peer, request] = (await connection) as [WebSocket, IncomingMessage];
    return { leg: (answer as { value: MediaLeg }).value, peer, request };
  }

  test('carries the ids and the key', async () => {
    const { request } = await opened();
    assert.equal(request.url, '/internal/relay/abcdefgh/media');
    assert.equal(request.headers.authorization, 'Bearer key');
    assert.equal(request.headers['x-ms-call-connection-id'], 'conn-1');
    assert.equal(request.headers['x-ms-call-correlation-id'], 'corr-1');
  });

  test('three unanswered pings end it as broken; anything heard starts the count again', async () => {
    const { peer, leg } = await opened();
    const pinged = () => once(peer, 'ping', { signal: AbortSignal.timeout(10_000) });
    for (let n = 0; n < 2; n++) {
      const ping = pinged();
      clock.advance(2_000);
      await ping;
    }
    const heard = new Promise<void>((resolve) => {
      peer.once('message', () => resolve());
    });
    const pong = pinged();
    peer.pong();
    peer.send('x');
    clock.advance(2_000);
    await pong;
    assert.ok(leg.send(Buffer.from('still open')));
    await heard;
    assert.deepEqual(closes, []);
    clock.advance(8_000);
    assert.deepEqual(closes, [1006]);
    assert.equal(leg.send(Buffer.from('late')), false);
  });

  test('a full buffer drops the newest message instead of growing', async () => {
    const { leg, peer } = await opened();
    peer.pause();
    const message = Buffer.alloc(64 * 1024);
    let sent = 0;
    while (leg.send(message)) assert.ok(++sent < 2000, 'the buffer grows without a bound');
    assert.ok(sent >= 4);
  });

  test('no answer in time, and nobody who waits for one any more', async () => {
    server.removeAllListeners('upgrade');
    server.on('upgrade', () => undefined);
    const asked = once(server, 'upgrade');
    const waiting = open();
    await asked;
    clock.advance(500);
    assert.equal((await waiting).kind, 'noAnswer');

    const gone = new AbortController();
    const askedAgain = once(server, 'upgrade');
    const abandoned = open(gone.signal);
    await askedAgain;
    gone.abort();
    assert.equal((await abandoned).kind, 'failed');
  });

  test('after its own close it tells nothing more, and a frozen owner is cut', async () => {
    const { leg, peer } = await opened();
    peer.pause();
    leg.close(1006, 'client closed');
    clock.advance(1_000);
    const closed = once(peer, 'close');
    peer.resume();
    await closed;
    assert.deepEqual(closes, []);
  });
});

test('codes that only describe a close are not sent', () => {
  for (const code of [1000, 1001, 1011, 1013, 3000, 4999]) assert.equal(closeCode(code), code);
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000]) assert.equal(closeCode(code), 1001);
});
