import assert from 'node:assert/strict';
import { LABELS } from '../../contract/labels.ts';
import { autoscaler, ExternalMetrics } from '../support/e2e/external_metrics.ts';
import { assertNoneCut, stories } from '../support/e2e/story.ts';

const POOL = 'desk';
const external = { scaling: { mode: 'External', intervalSeconds: 2, scaleDownStabilizationSeconds: 5 } };

stories(
  'the number of workers',
  {
    'kubectl scale takes workers away under load and cuts no call': async ({ fleet, ns }) => {
      await fleet.addPool(ns, POOL, { ...external, minWorkers: 1 });
      await fleet.kubectl.run(['scale', '-n', ns, `vwp/${POOL}`, '--replicas=4']);
      await fleet.untilPool(ns, POOL, 'has four workers', ({ readyWorkers }) => readyWorkers === 4);
      const calls = await fleet.place(ns, POOL, { turns: 20, pauseMs: 1_000 }, 16);
      await fleet.untilAnswered(calls, 2);
      await fleet.kubectl.run(['scale', '-n', ns, `vwp/${POOL}`, '--replicas=1']);
      const draining = await fleet.untilPool(ns, POOL, 'drains three', ({ drainingWorkers }) => drainingWorkers === 3);
      assert.ok(
        draining.drains.every(({ calls: left, waitingFor }) => (left ?? 0) > 0 && /calls|leases/.test(waitingFor)),
      );
      await assertNoneCut(fleet, calls);
      const done = await fleet.untilPool(
        ns,
        POOL,
        'is down to one',
        ({ drainingWorkers, replicas }) => drainingWorkers === 0 && replicas === 1,
      );
      assert.equal(done.phase, 'Ready');
      assert.equal(
        (await fleet.workers(ns, POOL)).filter(({ metadata }) => metadata.deletionTimestamp === undefined).length,
        1,
      );
    },

    'a flash crowd is followed from the calls that were refused': async ({ fleet, ns }) => {
      await fleet.addPool(ns, POOL, { slotsPerWorker: 4, minWorkers: 1, maxWorkers: 4 });
      const first = await fleet.place(ns, POOL, { turns: 15, pauseMs: 1_000 }, 12);
      const status = await fleet.untilPool(ns, POOL, 'grows', ({ readyWorkers }) => readyWorkers >= 3);
      assert.equal(status.lastScaling?.to, status.wantedWorkers);
      const second = await fleet.place(ns, POOL, { turns: 3, pauseMs: 500 }, 4);
      const records = await Promise.all([...first, ...second].map((call) => call.ended()));
      const answered = records.filter(({ outcome }) => outcome === 'answered');
      assert.ok(answered.length >= 8, `${answered.length} of 16 were answered`);
      assert.ok(
        records.every(({ outcome }) => outcome === 'answered' || outcome === 'rejected'),
        'nobody was left ringing',
      );
    },

    'a worker that relays the media of another is kept until the relayed call has ended': async ({ fleet, ns }) => {
      // Every call reaches any worker: half of them are relayed.
      const publicUrl = `http://${POOL}.${ns}.svc.cluster.local:8080`;
      await fleet.addPool(ns, POOL, { ...external, minWorkers: 2, routing: { mode: 'Relay', publicUrl } });
      const ringUrl = `${publicUrl}/p/${ns}/${POOL}/events`;
      const calls = await fleet.place(ns, POOL, { turns: 25, pauseMs: 1_000 }, 8, ringUrl);
      await fleet.untilAnswered(calls, 2);
      const [worker] = await fleet.workers(ns, POOL);
      assert.ok(worker);
      await fleet.kubectl.run(['annotate', '-n', ns, `pod/${worker.metadata.name}`, 'rtvoice.dev/drain=now']);
      const status = await fleet.untilPool(ns, POOL, 'drains it', ({ drains }) =>
        drains.some((row) => row.worker === worker.metadata.name),
      );
      assert.match(status.drains.map(({ waitingFor }) => waitingFor).join(), /relayed sockets|calls|leases/);
      await assertNoneCut(fleet, calls);
      await fleet.untilPool(
        ns,
        POOL,
        'has let it go',
        ({ drainingWorkers, phase }) => drainingWorkers === 0 && phase === 'Ready',
      );
      const names = (await fleet.workers(ns, POOL)).map(({ metadata }) => metadata.name);
      assert.ok(!names.includes(worker.metadata.name));
    },

    'a deleted pool goes when its last call has ended, not before': async ({ fleet, ns }) => {
      await fleet.addPool(ns, POOL);
      const calls = await fleet.place(ns, POOL, { turns: 15, pauseMs: 1_000 }, 6);
      await fleet.untilAnswered(calls, 2);
      await fleet.kubectl.run(['delete', '-n', ns, `vwp/${POOL}`, '--wait=false']);
      await fleet.untilPool(ns, POOL, 'is being drained', ({ phase }) => phase === 'Terminating');
      const refused = await fleet.place(ns, POOL, { turns: 1, pauseMs: 0 });
      await assertNoneCut(fleet, calls);
      assert.equal((await refused[0]?.ended())?.outcome === 'answered', false, 'a call that came after the deletion');
      await fleet.kubectl.run(['wait', '-n', ns, '--for=delete', `vwp/${POOL}`, '--timeout=60s']);
      await fleet.kubectl.run([
        'wait',
        '-n',
        ns,
        '--for=delete',
        'pod',
        '-l',
        `${LABELS.pool}=${POOL}`,
        '--timeout=60s',
      ]);
    },

    'two pools of one name in two namespaces share a Redis and nothing else': async ({ fleet, ns }) => {
      const other = `${ns}-b`;
      await Promise.all([fleet.addPool(ns, POOL), fleet.addPool(other, POOL)]);
      const calls = [
        ...(await fleet.place(ns, POOL, { turns: 10, pauseMs: 500 }, 4)),
        ...(await fleet.place(other, POOL, { turns: 10, pauseMs: 500 }, 2)),
      ];
      await fleet.untilAnswered(calls, 1);
      const [a, b] = await Promise.all([fleet.pool(ns, POOL), fleet.pool(other, POOL)]);
      assert.ok((a?.status?.activeCalls ?? 0) <= 4 && (b?.status?.activeCalls ?? 0) <= 2);
      await fleet.kubectl.run(['delete', '-n', other, `vwp/${POOL}`, '--wait=false']);
      await assertNoneCut(fleet, calls);
      await fleet.kubectl.run(['wait', '-n', other, '--for=delete', `vwp/${POOL}`, '--timeout=60s']);
      await fleet.untilPool(ns, POOL, 'is untouched', ({ readyWorkers }) => readyWorkers === 2);
    },

    'an autoscaler that writes /scale while workers drain is followed, down and up': async ({ fleet, ns }) => {
      const metrics = await ExternalMetrics.start(fleet, 15);
      try {
        await fleet.addPool(ns, POOL, { ...external, minWorkers: 1, maxWorkers: 4 });
        await fleet.kubectl.apply([autoscaler(ns, POOL, 5)]);
        await fleet.untilPool(ns, POOL, 'has three workers', ({ readyWorkers }) => readyWorkers === 3);
        const calls = await fleet.place(ns, POOL, { turns: 40, pauseMs: 1_000 }, 9);
        await fleet.untilAnswered(calls, 2);
        await metrics.set(5);
        await fleet.untilPool(ns, POOL, 'drains two', ({ drainingWorkers }) => drainingWorkers === 2);
        await metrics.set(10);
        const status = await fleet.untilPool(
          ns,
          POOL,
          'has one more beside those that drain',
          ({ readyWorkers, drainingWorkers }) => readyWorkers === 2 && drainingWorkers > 0,
        );
        assert.equal(status.replicas, 2, 'the autoscaler counts workers that admit calls');
        assert.equal(status.conditions.find(({ type }) => type === 'ReplicasContended')?.status, 'False');
        await assertNoneCut(fleet, calls);
      } finally {
        await metrics.stop();
      }
    },
  },
  { atOnce: 2 },
);
