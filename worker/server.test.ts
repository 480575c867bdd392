import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import {
  CALL_REF,
  cloudEvent,
  dial,
  type ListenerWorker,
  MEDIA_HEADERS,
  nextMessage,
  startListenerWorker,
} from '../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../test/support/token_issuer.ts';
import { checkSocketLimits, DEFAULT_SOCKET_LIMITS } from './http/socket_limits.ts';

describe('the listeners', () => {
  let issuer: TokenIssuer;
  const start = async (limits = {}): Promise<ListenerWorker> => {
    const worker = await startListenerWorker({ issuer, limits });
    worker.host.world.own(CALL_REF, worker.host.worker, worker.internalUrl);
    return worker;
  };
  const headers = async () => ({ authorization: `Bearer ${await issuer.token()}`, ...MEDIA_HEADERS });
  const dialOpen = async (worker: ListenerWorker): Promise<WebSocket> => {
    const socket = await dial(worker.urls().transportUrl, await headers());
    assert.ok(socket instanceof WebSocket, `refused with ${socket}`);
    return socket;
  };

  before(async () => {
    issuer = await startTokenIssuer();
  });
  after(() => issuer.close());

  test('limits that would abort the process are refused with their range', () => {
    for (const limits of [
      { idleTimeoutSeconds: 7 },
      { idleTimeoutSeconds: 961 },
      { idleTimeoutSeconds: 9.5 },
      { maxLifetimeMinutes: 240 },
      { maxLifetimeMinutes: -1 },
      { maxMessageBytes: Number.NaN },
    ]) {
      const [name] = Object.keys(limits);
      assert.throws(
        () => checkSocketLimits({ ...DEFAULT_SOCKET_LIMITS, ...limits }),
        (error: { code?: string; message?: string }) =>
          error.code === 'ERR_SOCKET_LIMIT_INVALID' && error.message?.includes(name ?? '') === true,
      );
    }
    checkSocketLimits({ ...DEFAULT_SOCKET_LIMITS, idleTimeoutSeconds: 0, maxLifetimeMinutes: 239 });
  });

  test('every accepted upgrade stays open', async () => {
    const worker = await start();
    const sockets: WebSocket[] = [];
    for (let n = 0; n < 60; n++) {
      const socket = await dialOpen(worker);
      sockets.push(socket);
      const media = worker.host.media.at(-1);
      const next = nextMessage(socket);
      assert.equal(media?.socket.send(`hello ${n}`), 1);
      assert.equal(await next, `hello ${n}`);
    }
    assert.deepEqual(
      worker.host.media.flatMap(({ closes }) => closes),
      [],
    );
    for (const socket of sockets) socket.terminate();
    await worker.close();
  });

  test('a closed socket may be used, and whoever closes it, its end is told once', async () => {
    const worker = await start();
    const socket = await dialOpen(worker);
    const media = worker.host.media[0];
    assert.ok(media);
    const closed = once(socket, 'close');
    media.socket.end(4000, 'x'.repeat(300));
    assert.deepEqual(media.closes, [4000]);
    assert.equal(media.socket.send('late'), 2);
    assert.equal(media.socket.bufferedBytes(), 0);
    media.socket.end(4001, 'again');
    assert.equal((await closed)[0], 4000);

    const second = await dialOpen(worker);
    second.terminate();
    await worker.host.media[1]?.until(({ closes }) => closes.length === 1);
    assert.equal(worker.host.media[1]?.socket.send('late'), 2);
    await worker.close();
  });

  test('a call that has just ended: the socket is closed in order', async () => {
    const worker = await start();
    worker.host.openMedia = () => undefined;
    const socket = await dialOpen(worker);
    assert.equal((await once(socket, 'close'))[0], 1000);
    await worker.close();
  });

  test('a fault in a socket handler is counted and ends nothing else', async () => {
    const worker = await start();
    const socket = await dialOpen(worker);
    const media = worker.host.media[0];
    assert.ok(media);
    media.receive = () => {
      throw new Error('a fault');
    };
    socket.send('boom');
    while ((await worker.metric('rtvoice_handler_faults_total', { where: 'socket' })) < 1)
      await fetch(`${worker.internalUrl}/livez`);
    const next = nextMessage(socket);
    media.socket.send('still here');
    assert.equal(await next, 'still here');
    socket.terminate();
    await worker.close();
  });

  test('a message above the limit ends its socket alone', async () => {
    const worker = await start({ maxMessageBytes: 1024 });
    const [large, other] = [await dialOpen(worker), await dialOpen(worker)];
    large.on('error', () => undefined);
    const closed = once(large, 'close');
    large.send('x'.repeat(1025));
    await closed;
    other.send('x'.repeat(1024));
    await worker.host.media[1]?.until(({ received }) => received.length === 1);
    other.terminate();
    await worker.close();
  });

  test('pings go out, and their answers keep a silent socket alive', async () => {
    const worker = await start({ pingPeriodMs: 100 });
    const socket = await dialOpen(worker);
    await once(socket, 'ping', { signal: AbortSignal.timeout(10_000) });
    await once(socket, 'ping', { signal: AbortSignal.timeout(10_000) });
    socket.terminate();
    await worker.close();
  });

  test('a port that is taken is an error with its name', async () => {
    const probe = await start();
    const port = Number(new URL(probe.publicUrl).port);
    await probe.close();
    // Both ask for the port by its number: only then would the kernel let them share it.
    const first = await startListenerWorker({ issuer, publicPort: port });
    await assert.rejects(
      startListenerWorker({ issuer, publicPort: port }),
      (error: { code?: string; message?: string }) =>
        error.code === 'ERR_LISTEN_FAILED' && error.message?.includes(String(port)) === true,
    );
    await first.close();
  });

  test('too many connections: newcomers are closed, upgraded sockets do not count', async () => {
    const worker = await start({ maxConnections: 3 });
    const sockets = [await dialOpen(worker), await dialOpen(worker), await dialOpen(worker), await dialOpen(worker)];
    const idle = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const socket = connect(Number(new URL(worker.publicUrl).port), '127.0.0.1');
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        return socket;
      }),
    );
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const socket of idle) {
        socket.resume().once('close', () => {
          if (++closed === 3) resolve();
        });
      }
    });
    assert.ok(sockets.every(({ readyState }) => readyState === WebSocket.OPEN));
    for (const socket of idle) socket.destroy();
    for (const socket of sockets) socket.terminate();
    await worker.close();
  });

  test('close: no new connections, requests under way are answered, sockets are told 1001', async () => {
    const worker = await start();
    const socket = await dialOpen(worker);
    const closed = once(socket, 'close');
    let finish: () => void = () => undefined;
    const applying = new Promise<void>((started) => {
      worker.host.applyEvents = () =>
        new Promise((resolve) => {
          finish = resolve;
          started();
        });
    });
    const answer = fetch(worker.urls().callbackUrl, {
      method: 'POST',
      headers: await headers(),
      body: JSON.stringify([cloudEvent('CallConnected', 'e1')]),
    });
    await applying;
    const closing = worker.close();
    // Long enough for a close that does not wait to have cut the connection.
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    finish();
    assert.equal((await answer).status, 200);
    assert.deepEqual((await closed).map(String), ['1001', 'shutdown']);
    await closing;
    assert.deepEqual(worker.host.media[0]?.closes, [1001]);
    await assert.rejects(fetch(`${worker.publicUrl}/p/local/front/events`));
    await assert.rejects(fetch(`${worker.internalUrl}/livez`));
  });
});
