import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, type TestContext, test } from 'node:test';
import { type FaultProxy, startFaultProxy } from './fault_proxy.ts';

/** Sends back what it gets, and ends when the other side does. */
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  received.push(socket);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    arrived = Buffer.concat([arrived, bytes]);
    socket.write(bytes);
    heard();
  });
  socket.on('end', () => socket.end());
});
const received: Socket[] = [];
let arrived = Buffer.alloc(0);
let heard: () => void = () => undefined;

before(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
});
after(() => {
  for (const socket of received) socket.destroy();
  echo.close();
});

async function through(t: TestContext): Promise<{ proxy: FaultProxy; client: Socket }> {
  arrived = Buffer.alloc(0);
  const proxy = await startFaultProxy({ port: (echo.address() as AddressInfo).port });
  t.after(() => proxy[Symbol.asyncDispose]());
  const client = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
  t.after(() => client.destroy());
  await once(client, 'connect');
  return { proxy, client };
}

async function read(client: Socket, length: number): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for (let got = 0; got < length; ) {
    const [piece] = (await once(client, 'data')) as [Buffer];
    pieces.push(piece);
    got += piece.length;
  }
  return pieces;
}

/** Resolves once the server has `length` bytes. */
async function atServer(length: number): Promise<void> {
  while (arrived.length < length) {
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
}

test('without toxics everything passes, ends included', async (t) => {
  const { proxy, client } = await through(t);
  const sent = Buffer.alloc(300_000, 'abc');
  client.write(sent);
  assert.deepEqual(Buffer.concat(await read(client, sent.length)), sent);
  assert.equal(proxy.connections, 1);
  const closed = once(client, 'close');
  client.end();
  await closed;
});

test('latency delays and keeps order', async (t) => {
  const { proxy, client } = await through(t);
  proxy.add({ type: 'latency', stream: 'downstream', latencyMs: 60, jitterMs: 50 });
  const startMs = performance.now();
  for (let index = 0; index < 20; index++) {
    client.write(`${index};`);
    await atServer(1);
  }
  const expected = Array.from({ length: 20 }, (_, index) => `${index};`).join('');
  const text = Buffer.concat(await read(client, expected.length)).toString();
  assert.equal(text, expected);
  // At least the least latency: a lower bound holds on a busy machine too.
  assert.ok(performance.now() - startMs >= 10);
});

test('bandwidth slows down by the size', async (t) => {
  const { proxy, client } = await through(t);
  proxy.add({ type: 'bandwidth', stream: 'upstream', bytesPerSecond: 100_000 });
  const startMs = performance.now();
  client.write(Buffer.alloc(20_000));
  await read(client, 20_000);
  assert.ok(performance.now() - startMs >= 190);
});

test('slicer makes small packets of a large one', async (t) => {
  const { proxy, client } = await through(t);
  proxy.add({ type: 'slicer', stream: 'downstream', sizeBytes: 10, delayMs: 5 });
  client.write(Buffer.alloc(50, 'x'));
  const pieces = await read(client, 50);
  assert.ok(pieces.length > 1, `${pieces.length} pieces`);
});

test('timeout swallows without closing, and what lost bytes is reset afterwards', async (t) => {
  const { proxy, client } = await through(t);
  const swallowed = new Promise((resolve) => {
    proxy.add({ type: 'timeout', stream: 'downstream', onSwallow: resolve });
  });
  client.write('lost');
  assert.equal(String(await swallowed), 'lost');
  assert.equal(client.destroyed, false);
  proxy.clear();
  const failed = once(client, 'error');
  client.write('after the hole');
  await failed;
  const next = connect(proxy.port, '127.0.0.1');
  t.after(() => next.destroy());
  next.write('kept');
  assert.equal(Buffer.concat(await read(next, 4)).toString(), 'kept');
});

test('reset cuts both ends', async (t) => {
  const { proxy, client } = await through(t);
  const failed = once(client, 'error');
  client.write('x');
  await read(client, 1);
  proxy.reset();
  const [error] = (await failed) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('reset_peer cuts at the next piece, limit_data after so many bytes', async (t) => {
  const first = await through(t);
  first.proxy.add({ type: 'reset_peer', stream: 'upstream' });
  const failed = once(first.client, 'error');
  first.client.write('x');
  await failed;
  assert.equal(arrived.length, 0);

  const second = await through(t);
  second.proxy.add({ type: 'limit_data', stream: 'downstream', bytes: 7 });
  const closed = once(second.client, 'close');
  let got = 0;
  second.client.on('data', (bytes: Buffer) => {
    got += bytes.length;
  });
  second.client.write('0123456789');
  await closed;
  assert.equal(got, 7);
});

test('cutReply delivers the request and drops the answer, once', async (t) => {
  const { proxy, client } = await through(t);
  let cuts = 0;
  proxy.add({
    type: 'cutReply',
    stream: 'downstream',
    matches: (bytes) => bytes.includes('pay'),
    onCut: () => {
      cuts += 1;
    },
  });
  client.write('look');
  assert.equal(Buffer.concat(await read(client, 4)).toString(), 'look');
  const failed = once(client, 'error');
  client.write('pay');
  await failed;
  assert.equal(arrived.toString(), 'lookpay');
  const again = connect(proxy.port, '127.0.0.1');
  t.after(() => again.destroy());
  again.write('pay');
  assert.equal(Buffer.concat(await read(again, 3)).toString(), 'pay');
  assert.equal(cuts, 1);
});

test('refuse closes new connections and leaves the old ones', async (t) => {
  const { proxy, client } = await through(t);
  proxy.refuse();
  const refused = connect(proxy.port, '127.0.0.1');
  await once(refused, 'error');
  client.write('still');
  assert.equal(Buffer.concat(await read(client, 5)).toString(), 'still');
  proxy.accept();
});
