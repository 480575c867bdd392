import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask, post } from './support/client.ts';
import { eventsPath, NS, POOL, ringPath, withWorld, workerName } from './support/world.ts';

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(3, '0')}`);

describe('rings at the edge', { timeout: 180_000 }, () => {
  it('lose none with 60 workers of which one is dead and two are frozen, and reach all others', (t) =>
    withWorld({}, async (world) => {
      const live = await world.workers(names('live', 57));
      const dead = await world.workers(['dead-000']);
      const frozen = await world.workers(names('cold', 2));
      const endpoints = [...live.addresses.slice(0, 20), ...dead.addresses, ...live.addresses.slice(20, 40)];
      await world.service([...endpoints, ...frozen.addresses, ...live.addresses.slice(40)]);
      await dead.kill();
      frozen.freeze();
      const bodies = Array.from({ length: 120 }, (_, index) => JSON.stringify([{ id: `ring-${index}` }]));
      const answers = [];
      for (let at = 0; at < bodies.length; at += 12) {
        answers.push(
          ...(await Promise.all(bodies.slice(at, at + 12).map((body) => post(world.edge, ringPath(), body)))),
        );
      }
      const lost = answers.filter(({ status }) => status !== 200);
      assert.deepEqual(lost, []);
      assert.deepEqual(
        answers.map(({ seen }) => seen?.body),
        bodies,
      );
      const reached = new Set(answers.map(({ seen }) => seen?.address));
      assert.equal(reached.size, 57);
      const slowest = Math.max(...answers.map(({ durationMs }) => durationMs));
      t.diagnostic(`slowest of ${answers.length} rings: ${Math.round(slowest)} ms`);
      assert.ok(slowest < 10_000);
    }));

  it('are answered while every second worker is frozen', () =>
    withWorld({}, async (world) => {
      const live = await world.workers(names('live', 3));
      const frozen = await world.workers(names('cold', 3));
      await world.service(live.addresses.flatMap((address, index) => [frozen.addresses[index] ?? '', address]));
      frozen.freeze();
      const answers = await Promise.all(Array.from({ length: 12 }, () => post(world.edge, ringPath())));
      assert.deepEqual(
        answers.map(({ status }) => status),
        answers.map(() => 200),
      );
    }));

  it('are not asked of the name that lists all workers', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa']);
      await world.service(addresses);
      await post(world.edge, ringPath());
      await post(world.edge, eventsPath('desk-gone0'));
      const asked = new Set(world.dns.queries);
      assert.deepEqual(asked, new Set([`${POOL}.${NS}.svc.cluster.local`, workerName('desk-gone0')]));
    }));

  it('may be answered by a name with more addresses than a plain answer holds', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(names('desk', 3));
      const many = Array.from({ length: 300 }, (_, index) => addresses[index % 3] ?? '');
      world.dns.set(`${POOL}.${NS}.svc.cluster.local`, many);
      assert.equal((await post(world.edge, ringPath())).status, 200);
      assert.equal(world.dns.truncated, 0);
    }));

  it('reach a pool that comes, and another address of its Service', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa', 'desk-bbbbb']);
      assert.equal((await post(world.edge, ringPath())).status, 503);
      const until = async (address: string | undefined) => {
        const deadline = performance.now() + 15_000;
        while (performance.now() < deadline) {
          if ((await post(world.edge, ringPath())).seen?.address === address) return;
        }
        assert.fail(`rings still do not reach ${address}`);
      };
      const service = await world.service([addresses[0] ?? '']);
      await until(addresses[0]);
      await world.service([addresses[1] ?? '']);
      await service[Symbol.asyncDispose]();
      await until(addresses[1]);
    }));

  it('pass with the handshake of CloudEvents, and with bodies up to 96 KiB', () =>
    withWorld({}, async (world) => {
      const { addresses } = await world.workers(['desk-aaaaa']);
      await world.service(addresses);
      const handshake = await ask(world.edge, ringPath(), { method: 'OPTIONS' });
      assert.equal(handshake.seen?.method, 'OPTIONS');
      const body = 'x'.repeat(96 * 1024);
      assert.equal((await post(world.edge, ringPath(), body)).seen?.body, body);
      assert.equal((await post(world.edge, ringPath(), `${body}x`)).status, 413);
    }));
});
