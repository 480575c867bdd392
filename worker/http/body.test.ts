import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { EVENT_GRID_KEY, type ListenerWorker, startListenerWorker, TOPIC } from '../../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../../test/support/token_issuer.ts';

const MAX = 256 * 1024;
const HEAD = `POST /p/local/front/events HTTP/1.1\r\nHost: x\r\nX-Rtvoice-Key: ${EVENT_GRID_KEY}\r\n`;

describe('bodies', () => {
  let issuer: TokenIssuer;
  let worker: ListenerWorker;
  const send = (body: string) =>
    fetch(`${worker.publicUrl}/p/local/front/events`, {
      method: 'POST',
      headers: { 'x-rtvoice-key': EVENT_GRID_KEY },
      body,
    });
  const raw = (text: string): Socket => {
    const socket = connect(Number(new URL(worker.publicUrl).port), '127.0.0.1');
    socket.write(text);
    return socket;
  };

  before(async () => {
    issuer = await startTokenIssuer();
    worker = await startListenerWorker({ issuer, limits: { bodyTimeoutMs: 200 } });
  });
  after(async () => {
    await worker.close();
    await issuer.close();
  });

  test('the largest allowed passes, one byte more is 413', async () => {
    const fits = `[${' '.repeat(MAX - 2)}]`;
    assert.equal((await send(fits)).status, 200);
    assert.equal((await send(`${fits} `)).status, 413);
  });

  test('a body without a declared length is counted as it comes', async () => {
    const chunk = ' '.repeat(32 * 1024);
    const socket = raw(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const answer = readAll(socket);
    for (let sent = 0; sent <= MAX && !socket.destroyed; sent += chunk.length) {
      socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
    }
    assert.match(await answer, /^HTTP\/1\.1 413 /);

    const good = raw(`${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n`);
    assert.match(await firstLine(good), /^HTTP\/1\.1 200 /);
  });

  test('a slow body is 408', async () => {
    const socket = raw(`${HEAD}Content-Length: 100\r\n\r\n[`);
    assert.match(await readAll(socket), /^HTTP\/1\.1 408 /);
  });

  test('a sender that goes away at any point disturbs nobody', async () => {
    const aborted = () => worker.metric('rtvoice_http_requests_total', { route: 'ring', status: 'aborted' });
    const before = await aborted();
    for (const text of [
      `${HEAD}Content-Length: 100\r\n\r\n`,
      `${HEAD}Content-Length: 100\r\n\r\n[[[[`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n[`,
    ]) {
      const socket = raw(text);
      await new Promise<void>((resolve) => socket.once('connect', resolve));
      // The next answer of the listener proves that it has read what this socket sent.
      assert.equal((await send('[]')).status, 200);
      socket.destroy();
    }
    while ((await aborted()) - before < 3) assert.equal((await send('[]')).status, 200);
    assert.equal(await worker.metric('rtvoice_handler_faults_total'), 0);
  });

  test('a sender that goes away while the host is busy: the late answer goes nowhere', async () => {
    let finish: (outcome: 'accepted') => void = () => undefined;
    const busy = new Promise<void>((started) => {
      worker.host.ringOutcome = () => {
        started();
        return new Promise((resolve) => {
          finish = resolve;
        });
      };
    });
    const data = { incomingCallContext: 'x', correlationId: 'y' };
    const body = JSON.stringify([{ eventType: 'Microsoft.Communication.IncomingCall', topic: TOPIC, data }]);
    const aborted = () => worker.metric('rtvoice_http_requests_total', { route: 'ring', status: 'aborted' });
    const before = await aborted();
    const socket = raw(`${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`);
    await busy;
    socket.destroy();
    await new Promise<void>((resolve) => socket.once('close', resolve));
    assert.equal((await send('[]')).status, 200);
    finish('accepted');
    while ((await aborted()) - before < 1) assert.equal((await send('[]')).status, 200);
    assert.equal(await worker.metric('rtvoice_handler_faults_total'), 0);
  });
});

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  // A socket that is cut after its answer may report an error: the answer counts.
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return text;
}

async function firstLine(socket: Socket): Promise<string> {
  const [chunk] = await new Promise<Buffer[]>((resolve) => socket.once('data', (data) => resolve([data])));
  socket.destroy();
  return String(chunk).split('\r\n')[0] ?? '';
}
