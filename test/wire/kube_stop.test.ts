import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeEndpoint } from '../../controller/kube/credentials.ts';
import { Informer } from '../../controller/kube/informer.ts';
import { CONFIG_MAPS } from '../../controller/kube/resources.ts';
import { seededRandom } from '../../platform/random.ts';
import { Arrivals, plainEndpoint, type Rig, startRig } from '../support/scripted_api.ts';

/** A stop at each place where a cache waits: it ends at once, nothing comes after it, nothing of it stays behind, and it can be started again. */

interface Moment {
  readonly rig: Rig;
  readonly informer: Informer<{ metadata: { name: string; resourceVersion?: string } }>;
  readonly changes: Arrivals<string>;
  readonly token: { wait: Promise<void> | undefined; readonly asked: Arrivals<true> };
}

const a = { metadata: { name: 'a', resourceVersion: '1' } };
const added = { type: 'ADDED', object: { metadata: { name: 'b', resourceVersion: '11' } } };

async function opened({ rig, changes }: Moment) {
  (await rig.api.next()).page('10', [a]);
  await changes.next();
  const stream = await rig.api.next();
  stream.open();
  return stream;
}

/** Gets there; what it gives is done after the stop, and must have no effect. */
type Arrive = (moment: Moment) => Promise<() => void>;

const MOMENTS: readonly (readonly [name: string, arrive: Arrive])[] = [
  [
    'while the token is read',
    async ({ informer, token }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      token.wait = promise;
      informer.start();
      await token.asked.next();
      return resolve;
    },
  ],
  [
    'while the list is under way',
    async ({ rig, informer }) => {
      informer.start();
      const list = await rig.api.next();
      return () => list.page('10', [a]);
    },
  ],
  [
    'in the middle of a list',
    async ({ rig, informer }) => {
      informer.start();
      const list = await rig.api.next();
      list.open();
      list.raw('{"metadata":{"resourceVersion":"10"},"items":[');
      return () => list.raw(`${JSON.stringify(a)}]}`);
    },
  ],
  [
    'between two pages',
    async ({ rig, informer }) => {
      informer.start();
      (await rig.api.next()).page('10', [a], 'page2');
      const second = await rig.api.next();
      return () => second.page('10', []);
    },
  ],
  [
    'while it waits as the server asked',
    async ({ rig, informer }) => {
      informer.start();
      (await rig.api.next()).refuse(429, 'TooManyRequests', { 'retry-after': '3' });
      await rig.clock.timer(3_000);
      return () => undefined;
    },
  ],
  [
    'during the back-off of a list',
    async ({ rig, informer }) => {
      informer.start();
      (await rig.api.next()).refuse(500, 'InternalError');
      await rig.warnings.next();
      return () => undefined;
    },
  ],
  [
    'while a watch is not answered',
    async ({ rig, informer, changes }) => {
      informer.start();
      (await rig.api.next()).page('10', [a]);
      await changes.next();
      const watch = await rig.api.next();
      return () => {
        watch.open();
        watch.events(added);
      };
    },
  ],
  [
    'in an idle stream',
    async (moment) => {
      moment.informer.start();
      const stream = await opened(moment);
      return () => stream.events(added);
    },
  ],
  [
    'in the middle of an event',
    async (moment) => {
      moment.informer.start();
      const stream = await opened(moment);
      const line = JSON.stringify(added);
      stream.events({ type: 'MODIFIED', object: { metadata: { name: 'a', resourceVersion: '2' } } });
      stream.raw(line.slice(0, 20));
      await moment.changes.next();
      return () => stream.raw(`${line.slice(20)}\n`);
    },
  ],
  [
    'during the back-off of a watch',
    async (moment) => {
      moment.informer.start();
      (await opened(moment)).reset();
      await moment.rig.warnings.next();
      return () => undefined;
    },
  ],
];

for (const [name, arrive] of MOMENTS) {
  test(`a stop ${name} sticks`, async () => {
    const moment = await start();
    const { rig, informer, changes, token } = moment;
    try {
      const outcome = informer.synced().then(
        () => true,
        () => false,
      );
      const late = await arrive(moment);
      await informer.stop();
      late();
      assert.equal(await outcome, informer.hasSynced, 'who waits for the first list is told');
      // Far beyond every back-off, stall and time-out.
      rig.clock.advance(3_600_000);
      await rig.assertQuiet();
      assert.equal(changes.count, 0, 'a listener was called after the stop');
      assert.equal(rig.warnings.count, 0, 'a stop is no fault');

      token.wait = undefined;
      informer.start();
      const again = await rig.api.next();
      assert.equal(again.isWatch, informer.hasSynced, 'goes on from where it was');
    } finally {
      await informer.stop();
      await rig[Symbol.asyncDispose]();
    }
  });
}

test('a stop within a listener is the last that the listener sees', async () => {
  const { rig, informer, changes } = await start();
  try {
    const stops: Promise<void>[] = [];
    informer.onChange((_old, now) => {
      if (now?.metadata.name === 'b') stops.push(informer.stop());
    });
    informer.start();
    (await rig.api.next()).page('10', [a]);
    const stream = await rig.api.next();
    stream.open();
    stream.events(added, { type: 'ADDED', object: { metadata: { name: 'c', resourceVersion: '12' } } });
    await stream.closed;
    await Promise.all(stops);
    assert.deepEqual([await changes.next(), await changes.next(), changes.count], ['a', 'b', 0]);
  } finally {
    await informer.stop();
    await rig[Symbol.asyncDispose]();
  }
});

test('two stops and a start of one that runs change nothing', async () => {
  const { rig, informer } = await start();
  try {
    informer.start();
    informer.start();
    (await rig.api.next()).page('10', []);
    assert.ok((await rig.api.next()).isWatch);
    await rig.assertQuiet();
    await Promise.all([informer.stop(), informer.stop()]);
    await informer.stop();
  } finally {
    await rig[Symbol.asyncDispose]();
  }
});

async function start(): Promise<Moment> {
  const token: Moment['token'] = { wait: undefined, asked: new Arrivals<true>('question for the token') };
  const rig = await startRig(
    (url): KubeEndpoint => ({
      ...plainEndpoint(url),
      async token() {
        if (token.wait) token.asked.push(true);
        await token.wait;
        return 'secret';
      },
    }),
  );
  const { client, clock, log } = rig;
  const informer: Moment['informer'] = new Informer({
    ...{ client, clock, log, random: seededRandom(1) },
    resource: CONFIG_MAPS,
  });
  const changes = new Arrivals<string>('change');
  informer.onChange((old, now) => changes.push((now ?? old)?.metadata.name ?? ''));
  return { rig, informer, changes, token };
}
