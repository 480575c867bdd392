import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { ask, Media, post } from './support/client.ts';
import { eventsPath, mediaPath, NS, POOL, ringPath, TOKEN, withWorld, workerName } from './support/world.ts';

/** Far above what is promised (1.5 s to an answer by somebody else), far below what a caller of ACS waits. */
const FALL_OVER_LIMIT_MS = 6_000;

const timings: string[] = [];
const measured = (what: string, { durationMs }: { readonly durationMs: number }): void => {
  timings.push(`${what}: ${Math.round(durationMs)} ms`);
};

describe('a call at the edge', { timeout: 120_000 }, () => {
  it('reaches the worker that its path names, by HTTP and by WebSocket', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa', 'desk-bbbbb']);
      await world.service(addresses);
      for (const [index, worker] of ['desk-aaaaa', 'desk-bbbbb'].entries()) {
        const answer = await post(world.edge, eventsPath(worker), 'x'.repeat(1_000));
        measured('live owner, HTTP', answer);
        assert.equal(answer.seen?.address, addresses[index]);
        // The worker needs the token, and the body as it came.
        assert.deepEqual([answer.seen?.url, answer.seen?.body], [eventsPath(worker), 'x'.repeat(1_000)]);
        const media = await Media.dial(world.edge, mediaPath(worker));
        measured('live owner, WebSocket', media);
        assert.equal(media.greeting, `${addresses[index]} ${mediaPath(worker)}`);
        assert.equal(await media.say('hello'), `${addresses[index]}: hello`);
        await media.close();
      }
    }));

  it('goes to another worker of the pool when the name is gone', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-bbbbb']);
      await world.service(addresses);
      const answer = await post(world.edge, eventsPath('desk-gone0'), 'body');
      measured('name gone, HTTP', answer);
      assert.deepEqual([answer.seen?.address, answer.seen?.body], [addresses[0], 'body']);
      assert.ok(answer.durationMs < FALL_OVER_LIMIT_MS);
      const media = await Media.dial(world.edge, mediaPath('desk-gone1'));
      measured('name gone, WebSocket', media);
      assert.equal(media.address, addresses[0]);
      await media.close();
    }));

  it('finds a worker whose name came just now, and one that came back with another address', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-bbbbb', 'desk-ccccc']);
      await world.service([addresses[0] ?? '']);
      const name = workerName('desk-later');
      assert.equal((await post(world.edge, eventsPath('desk-later'))).seen?.address, addresses[0]);
      const settled = async (address: string | undefined) => {
        const deadline = performance.now() + FALL_OVER_LIMIT_MS;
        while (performance.now() < deadline) {
          if ((await post(world.edge, eventsPath('desk-later'))).seen?.address === address) return;
        }
        assert.fail(`requests still do not reach ${address}`);
      };
      world.dns.set(name, [addresses[1] ?? '']);
      await settled(addresses[1]);
      world.dns.set(name, [addresses[0] ?? '']);
      await settled(addresses[0]);
    }));

  it('goes to another worker when the name is there and the port is dead', () =>
    withWorld({}, async (world) => {
      const dead = await world.workers(['desk-aaaaa']);
      const { addresses } = await world.workers(['desk-bbbbb']);
      await world.service(addresses);
      await dead.kill();
      const answer = await post(world.edge, eventsPath('desk-aaaaa'), 'body');
      measured('port dead, HTTP', answer);
      assert.deepEqual([answer.seen?.address, answer.seen?.body], [addresses[0], 'body']);
      const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
      measured('port dead, WebSocket', media);
      assert.equal(media.address, addresses[0]);
      assert.equal(await media.say('hello'), `${addresses[0]}: hello`);
      await media.close();
    }));

  it('goes to another worker when the owner is frozen, with a body of up to 96 KiB, and when the next one is frozen too', () =>
    withWorld({}, async (world) => {
      const frozen = await world.workers(['desk-aaaaa', 'desk-ccccc']);
      const { addresses } = await world.workers(['desk-bbbbb']);
      const service = await world.service(addresses);
      frozen.freeze();
      for (const [what, endpoints] of [
        ['owner frozen', addresses],
        ['owner frozen, the next one at times too', [frozen.addresses[1] ?? '', ...addresses]],
      ] as const) {
        service.endpoints = endpoints;
        for (const body of ['body', 'x'.repeat(96 * 1024)]) {
          const answer = await post(world.edge, eventsPath('desk-aaaaa'), body);
          measured(`${what}, HTTP, ${body.length} bytes`, answer);
          assert.deepEqual([answer.seen?.address, answer.seen?.body], [addresses[0], body]);
          assert.ok(answer.durationMs < FALL_OVER_LIMIT_MS);
        }
        const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
        measured(`${what}, WebSocket`, media);
        assert.equal(media.address, addresses[0]);
        await media.close();
      }
    }));

  it('keeps an established tunnel through a silence longer than a worker may take to answer', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa']);
      await world.service(addresses);
      const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
      // `timeout server` is 1 s; the requests beside it show that the time has really passed.
      const started = performance.now();
      while (performance.now() - started < 3_000) await post(world.edge, eventsPath('desk-gone0'));
      assert.equal(await media.say('still here'), `${addresses[0]}: still here`);
      await media.close();
    }));

  it('goes to another worker when the owner dies with the request in its hands', () =>
    withWorld({}, async (world) => {
      const owner = await world.workers(['desk-aaaaa']);
      const { addresses } = await world.workers(['desk-bbbbb']);
      await world.service(addresses);
      owner.freeze();
      const answer = post(world.edge, eventsPath('desk-aaaaa'), 'body');
      const connected = () => world.edge.admin('show sess').then((text) => text.includes('be=owner'));
      while (!(await connected())) await new Promise(setImmediate);
      await owner.kill();
      const { seen } = await answer;
      assert.deepEqual([seen?.address, seen?.body], [addresses[0], 'body']);
    }));

  it('ends the other half of a tunnel whose worker died', () =>
    withWorld({}, async (world) => {
      const workers = await world.workers(['desk-aaaaa']);
      await world.service(workers.addresses);
      const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
      media.socket.on('error', () => undefined);
      const closed = once(media.socket, 'close', { signal: AbortSignal.timeout(10_000) });
      await workers.kill();
      await closed;
    }));

  it('is answered 503 when nobody of its pool is left, or there is no such pool', () =>
    withWorld({}, async (world) => {
      const workers = await world.workers(['desk-aaaaa']);
      const service = await world.service(workers.addresses);
      const unknown = await post(world.edge, ringPath('nobody'));
      measured('unknown pool, ring', unknown);
      const unknownCall = await post(world.edge, eventsPath('nobody-aaaaa', 'nobody'));
      measured('unknown pool, call', unknownCall);
      await workers.kill();
      // A Service without endpoints refuses.
      await service[Symbol.asyncDispose]();
      const nobody = await post(world.edge, ringPath());
      measured('nobody left, ring', nobody);
      const nobodyCall = await post(world.edge, eventsPath('desk-aaaaa'));
      measured('nobody left, call', nobodyCall);
      for (const answer of [unknown, unknownCall, nobody, nobodyCall]) {
        assert.equal(answer.status, 503);
        assert.equal(answer.headers['retry-after'], '1');
        assert.ok(answer.durationMs < FALL_OVER_LIMIT_MS);
      }
    }));

  it('is answered 503 in time when the name server is silent', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa']);
      await world.service(addresses);
      world.dns.silent = true;
      const answer = await post(world.edge, eventsPath('desk-aaaaa'));
      measured('name server silent', answer);
      assert.equal(answer.status, 503);
      assert.ok(answer.durationMs < 2 * FALL_OVER_LIMIT_MS);
    }));

  it('tells the log who answered, and never the token', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa']);
      await world.service(addresses);
      await post(world.edge, eventsPath('desk-aaaaa'));
      await ask(world.edge, `/w/${NS}/${POOL}/desk-aaaaa/else?t=${TOKEN}`);
      await ask(world.edge, `/${TOKEN}"\\`);
      const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
      await media.close();
      const line = await world.edge.logged(({ route }) => route === 'events');
      const { namespace, pool, worker, callRef, status, by, tls } = line;
      assert.deepEqual(
        { namespace, pool, worker, callRef, status, by, tls },
        {
          namespace: NS,
          pool: POOL,
          worker: 'desk-aaaaa',
          callRef: 'callref00001',
          status: 200,
          by: 'owner/owner',
          tls: 'TLSv1.3',
        },
      );
      await world.edge.logged(({ route }) => route === 'media');
      await world.edge.logged(({ status }) => status === 404);
      assert.equal(world.edge.log.filter((text) => text.includes(TOKEN) || text.includes('t=')).length, 0);
    }));

  it('took as long as this', (t) => {
    for (const line of timings) t.diagnostic(line);
    assert.ok(timings.length > 0);
  });
});
