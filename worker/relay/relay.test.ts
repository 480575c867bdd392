import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { LeaseWorld, type TestMedia } from '../../test/support/listener_host.ts';
import {
  CALL_REF,
  cloudEvent,
  dial,
  type ListenerWorker,
  MEDIA_HEADERS,
  nextMessage,
  startListenerWorker,
} from '../../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../../test/support/token_issuer.ts';

describe('relay between two workers', () => {
  let issuer: TokenIssuer;
  let world: LeaseWorld;
  let owner: ListenerWorker;
  let other: ListenerWorker;
  let hasty: ListenerWorker;
  let frozen: Server;

  const headers = async () => ({ authorization: `Bearer ${await issuer.token()}`, ...MEDIA_HEADERS });
  /** To the worker that does not own the call. */
  const post = async (events: unknown = [cloudEvent('CallConnected', 'e1')], worker = other) =>
    fetch(worker.urls().callbackUrl, { method: 'POST', headers: await headers(), body: JSON.stringify(events) });
  const dialOther = async (worker = other) => {
    const socket = await dial(worker.urls().transportUrl, await headers());
    assert.ok(socket instanceof WebSocket, `refused with ${socket}`);
    return socket;
  };
  const callbacks = (result: string) => other.metric('rtvoice_callbacks_total', { result });

  beforeEach(async () => {
    issuer = await startTokenIssuer();
    world = new LeaseWorld();
    owner = await startListenerWorker({ issuer, world, worker: 'front-owner' });
    // Generous where an owner lives: a slow machine must not look like a frozen owner.
    other = await startListenerWorker({ issuer, world, worker: 'front-other', limits: { ownerAnswerMs: 20_000 } });
    hasty = await startListenerWorker({ issuer, world, worker: 'front-hasty', limits: { ownerAnswerMs: 100 } });
    world.own(CALL_REF, 'front-owner', owner.internalUrl);
    // Accepts connections and never answers, as a stopped process does.
    frozen = createServer(() => undefined);
    await new Promise<void>((resolve) => frozen.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await Promise.all([owner.close(), other.close(), hasty.close()]);
    frozen.close();
    await issuer.close();
  });
  const frozenUrl = () => `http://127.0.0.1:${(frozen.address() as AddressInfo).port}`;

  test('a callback reaches the owner whole, bad neighbours and all', async () => {
    const answer = await post([null, cloudEvent('CallConnected', 'e1'), cloudEvent('SomethingNew', 'e2')]);
    assert.equal(answer.status, 200);
    assert.deepEqual(
      owner.host.events.map(({ callRef, event }) => [callRef, event.type]),
      [
        [CALL_REF, 'CallConnected'],
        [CALL_REF, 'SomethingNew'],
      ],
    );
    assert.equal(other.host.takeovers.length, 0);
    assert.equal(await callbacks('served'), 1);
  });

  test('an owner that gives no answer is taken over, and the callback is served here', async () => {
    world.own(CALL_REF, 'front-owner', frozenUrl());
    assert.equal((await post(undefined, hasty)).status, 200);
    assert.equal(hasty.host.takeovers.length, 1);
    assert.equal(hasty.host.takeovers[0]?.cause.kind, 'callback');
    assert.deepEqual(
      JSON.parse(hasty.host.takeovers[0]?.cause.kind === 'callback' ? hasty.host.takeovers[0].cause.body : ''),
      [cloudEvent('CallConnected', 'e1')],
    );
    assert.equal(hasty.host.events.length, 1);
  });

  test('a dead owner too; parked is 200, refused is 503', async () => {
    world.own(CALL_REF, 'front-owner', 'http://127.0.0.1:1');
    other.host.takeOverOutcome = () => 'parked';
    assert.equal((await post()).status, 200);
    other.host.takeOverOutcome = () => 'refused';
    assert.equal((await post()).status, 503);
    assert.equal(await callbacks('parked'), 1);
    assert.equal(await callbacks('unavailable'), 1);
    assert.equal(other.host.events.length, 0);
  });

  test('when another worker was quicker, its owner is found', async () => {
    world.own(CALL_REF, 'front-dead', 'http://127.0.0.1:1');
    other.host.takeOverOutcome = () => {
      world.own(CALL_REF, 'front-owner', owner.internalUrl, 2);
      return 'elsewhere';
    };
    assert.equal((await post()).status, 200);
    assert.equal(owner.host.events.length, 1);
  });

  test('an owner that lives but cannot serve never loses its call', async () => {
    const refusing = await startListenerWorker({ issuer, world: new LeaseWorld(), worker: 'front-owner' });
    refusing.host.world.available = false;
    world.own(CALL_REF, 'front-owner', refusing.internalUrl);
    assert.equal((await post()).status, 503);
    assert.equal(other.host.takeovers.length, 0);
    await refusing.close();
  });

  test('a process that denies owning the call under the same lease is no owner', async () => {
    const restarted = await startListenerWorker({ issuer, world: new LeaseWorld(), worker: 'front-owner' });
    world.own(CALL_REF, 'front-owner', restarted.internalUrl);
    assert.equal((await post()).status, 200);
    assert.equal(other.host.takeovers.length, 1);
    assert.equal(other.host.events.length, 1);
    await restarted.close();
  });

  test('the rounds are bounded when owners only point at each other', async () => {
    other.host.takeOverOutcome = () => 'elsewhere';
    world.own(CALL_REF, 'front-dead', 'http://127.0.0.1:1');
    assert.equal((await post()).status, 503);
    assert.equal(other.host.takeovers.length, 4);
  });

  test('a call that nobody knows is acknowledged and counted', async () => {
    world.leases.clear();
    assert.equal((await post()).status, 200);
    assert.equal(await callbacks('unknown'), 1);
    world.available = false;
    assert.equal((await post()).status, 503);
  });

  test('media pass both ways unchanged', async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    const media = await opened;
    assert.deepEqual(media.headers, { callConnectionId: 'conn-1', correlationId: 'corr-1' });
    assert.equal(other.server.relayedSockets(), 1);
    assert.equal(await other.metric('rtvoice_relayed_sockets'), 1);
    const texts = ['{"kind":"AudioMetadata"}', '{"kind":"AudioData","x":"\u00e9\u{1f600}"}', ''];
    for (const text of texts) socket.send(text);
    await media.until(({ received }) => received.length === 3);
    assert.deepEqual(
      media.received,
      texts.map((text) => Buffer.from(text).toString('latin1')),
    );
    const [data, isBinary] = await sendAndReceive(media, socket, '{"kind":"StopAudio","é":null}');
    assert.equal(data, '{"kind":"StopAudio","é":null}');
    assert.equal(isBinary, false);
    socket.close(1000);
    await media.until(({ closes }) => closes.length === 1);
    assert.deepEqual(media.closes, [1000]);
    assert.equal(other.server.relayedSockets(), 0);
  });

  test('every relayed upgrade stays open', async () => {
    const sockets: WebSocket[] = [];
    for (let n = 1; n <= 30; n++) {
      const opened = owner.host.nextMedia();
      const socket = await dialOther();
      sockets.push(socket);
      const [data] = await sendAndReceive(await opened, socket, `hello ${n}`);
      assert.equal(data, `hello ${n}`);
      assert.equal(other.server.relayedSockets(), n);
    }
    for (const socket of sockets) socket.terminate();
  });

  test('what the owner says before the upgrade is complete is not lost', async () => {
    owner.host.happened.on('media', (media: TestMedia) => {
      media.socket.send('first word');
      media.socket.send('second word');
    });
    const socket = new WebSocket(other.urls().transportUrl, { headers: await headers() });
    const heard: string[] = [];
    await new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        if (heard.push(String(data)) === 2) resolve();
      });
    });
    assert.deepEqual(heard, ['first word', 'second word']);
    socket.terminate();
  });

  test("the owner's close is passed on with its code", async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    const closed = once(socket, 'close');
    (await opened).socket.end(4001, 'hang-up');
    assert.deepEqual((await closed).map(String), ['4001', 'hang-up']);
    assert.equal(other.host.takeovers.length, 0);
  });

  test('no owner answers the upgrade: it is taken over before the upgrade is complete', async () => {
    world.own(CALL_REF, 'front-owner', frozenUrl());
    const socket = await dialOther(hasty);
    assert.deepEqual(
      hasty.host.takeovers.map(({ cause }) => cause),
      [{ kind: 'mediaUpgrade' }],
    );
    assert.equal(hasty.host.media.length, 1);
    assert.equal(hasty.server.relayedSockets(), 0);
    socket.terminate();
    hasty.host.takeOverOutcome = () => 'refused';
    world.own(CALL_REF, 'front-owner', frozenUrl());
    assert.equal(await dial(hasty.urls().transportUrl, await headers()), 503);
  });

  test("the owner dies under a relayed socket: the client's socket stays open and is served here", async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    const ownersMedia = await opened;
    socket.send('{"kind":"AudioMetadata"}');
    await ownersMedia.until(({ received }) => received.length === 1);
    const moved = other.host.nextMedia();
    await owner.close();
    const media = await moved;
    socket.send('after');
    await media.until(({ received }) => received.includes('after'));
    assert.deepEqual(media.received, ['{"kind":"AudioMetadata"}', 'after']);
    const next = nextMessage(socket);
    media.socket.send('from the new owner');
    assert.equal(await next, 'from the new owner');
    assert.equal(socket.readyState, WebSocket.OPEN);
    assert.equal(other.server.relayedSockets(), 0);
    assert.equal(await other.metric('rtvoice_relay_moves_total', { result: 'here' }), 1);
    socket.close();
    await media.until(({ closes }) => closes.length === 1);
  });

  test('the owner dies and a third worker was quicker: the socket moves to it', async () => {
    const third = await startListenerWorker({ issuer, world, worker: 'front-third' });
    other.host.takeOverOutcome = () => {
      world.own(CALL_REF, 'front-third', third.internalUrl, 2);
      return 'elsewhere';
    };
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    socket.send('first');
    await (await opened).until(({ received }) => received.length === 1);
    const moved = third.host.nextMedia();
    await owner.close();
    const media = await moved;
    await media.until(({ received }) => received.length === 1);
    assert.deepEqual(media.received, ['first']);
    const next = nextMessage(socket);
    media.socket.send('third speaks');
    assert.equal(await next, 'third speaks');
    assert.equal(other.server.relayedSockets(), 1);
    await third.close();
  });

  test('superseded by a newer owner: the socket follows; by a newer socket: it ends', async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    const old = await opened;
    world.own(CALL_REF, 'front-hasty', hasty.internalUrl, 2);
    const moved = hasty.host.nextMedia();
    old.socket.end(1000, 'superseded');
    const media = await moved;
    assert.equal(other.server.relayedSockets(), 1);
    const [data] = await sendAndReceive(media, socket, 'from the newer owner');
    assert.equal(data, 'from the newer owner');
    const closed = once(socket, 'close');
    media.socket.end(1000, 'superseded');
    assert.deepEqual((await closed).map(String), ['1000', 'superseded']);
    assert.equal(other.host.takeovers.length, 0);
  });

  test('the owner leaves and the call has ended: the socket ends with it', async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    await opened;
    world.leases.delete(CALL_REF);
    const closed = once(socket, 'close');
    await owner.close();
    assert.equal((await closed)[0], 1000);
  });

  test('nobody may take over: the socket is closed so that ACS dials again', async () => {
    const opened = owner.host.nextMedia();
    const socket = await dialOther();
    await opened;
    other.host.takeOverOutcome = () => 'refused';
    const closed = once(socket, 'close');
    await owner.close();
    assert.equal((await closed)[0], 1013);
    assert.equal(await other.metric('rtvoice_relay_moves_total', { result: 'lost' }), 1);
    assert.equal(other.server.relayedSockets(), 0);
  });

  test('a client that goes away while the owner is asked leaves nothing behind', async () => {
    world.own(CALL_REF, 'front-owner', frozenUrl());
    const asked = once(frozen, 'connection');
    const socket = new WebSocket(other.urls().transportUrl, { headers: await headers() });
    socket.on('error', () => undefined);
    await asked;
    socket.terminate();
    const aborted = () => other.metric('rtvoice_http_requests_total', { route: 'media', status: 'aborted' });
    while ((await aborted()) < 1) await fetch(`${other.internalUrl}/livez`);
    assert.equal(other.host.media.length, 0);
    assert.equal(other.server.relayedSockets(), 0);
    assert.equal(await other.metric('rtvoice_handler_faults_total'), 0);
  });
});

async function sendAndReceive(media: TestMedia, socket: WebSocket, text: string): Promise<[string, boolean]> {
  const next = once(socket, 'message', { signal: AbortSignal.timeout(10_000) }) as Promise<[Buffer, boolean]>;
  media.socket.send(Buffer.from(text));
  const [data, isBinary] = await next;
  return [data.toString(), isBinary];
}
