import assert from 'node:assert/strict';
import { LABELS } from '../../contract/labels.ts';
import type { ClusterFleet } from '../support/e2e/fleet.ts';
import { assertNoneCut, stories } from '../support/e2e/story.ts';

const POOL = 'desk';

async function revisions(fleet: ClusterFleet, ns: string): Promise<Set<string>> {
  const pods = await fleet.workers(ns, POOL);
  return new Set(pods.map(({ metadata }) => metadata.labels?.[LABELS.revision] ?? ''));
}

stories(
  'roll-outs',
  {
    'a changed document replaces every worker under load and cuts no call': async ({ fleet, ns }) => {
      const update = { canary: { workers: 1, minCalls: 3, maxSeconds: 30 } };
      const slotsPerWorker = 20;
      await fleet.addPool(ns, POOL, { update, slotsPerWorker });
      const before = (await fleet.pool(ns, POOL))?.status?.revision;
      const calls = await fleet.place(ns, POOL, { turns: 30, pauseMs: 1_000 }, 10);
      await fleet.untilAnswered(calls, 2);
      await fleet.applyPool(ns, POOL, { update, slotsPerWorker, call: { idleTimeoutSeconds: 200 } });
      await fleet.untilPool(
        ns,
        POOL,
        'tries a canary',
        ({ rollout, readyWorkers }) => rollout.phase === 'Canary' && readyWorkers === 3,
      );
      // The canary is judged by calls that it gets.
      const more = await fleet.place(ns, POOL, { turns: 12, pauseMs: 500 }, 12);
      const done = await fleet.untilPool(
        ns,
        POOL,
        'is of the new revision',
        ({ rollout, revision }) => rollout.phase === 'Stable' && revision !== before,
      );
      await assertNoneCut(fleet, [...calls, ...more]);
      await fleet.untilPool(
        ns,
        POOL,
        'has let the old ones go',
        ({ drainingWorkers, phase }) => drainingWorkers === 0 && phase === 'Ready',
      );
      assert.deepEqual([...(await revisions(fleet, ns))], [done.revision]);
    },

    'a revision whose image does not exist is rolled back by itself': async ({ fleet, ns }) => {
      await fleet.addPool(ns, POOL, { update: { canary: { workers: 1 } } });
      const before = (await fleet.pool(ns, POOL))?.status?.revision;
      const calls = await fleet.place(ns, POOL, { turns: 15, pauseMs: 1_000 }, 6);
      await fleet.untilAnswered(calls, 1);
      const patch = JSON.stringify({ spec: { worker: { image: 'localhost/not-there:1', imagePullPolicy: 'Never' } } });
      await fleet.kubectl.run(['patch', '-n', ns, `vwp/${POOL}`, '--type=merge', '-p', patch]);
      const status = await fleet.untilPool(ns, POOL, 'is rolled back', ({ rollout }) => rollout.phase === 'RolledBack');
      assert.equal(status.revision, before);
      assert.match(status.rollout.message, /does not start/);
      const failed = status.conditions.find(({ type }) => type === 'RolloutFailed');
      assert.deepEqual([failed?.status, failed?.reason], ['True', 'RevisionWorse']);
      await fleet.untilPool(
        ns,
        POOL,
        'has only the old workers',
        ({ readyWorkers, drainingWorkers }) => readyWorkers === 2 && drainingWorkers === 0,
      );
      assert.deepEqual([...(await revisions(fleet, ns))], [before]);
      await assertNoneCut(fleet, calls);
      assert.match(await fleet.kubectl.run(['describe', '-n', ns, `vwp/${POOL}`]), /Warning\s+RolloutRolledBack/);
    },

    'a revision that cannot answer its calls is rolled back by their set-up failures': async ({ fleet, ns }) => {
      const update = { canary: { workers: 1, minCalls: 4, maxSeconds: 120, maxSetupFailurePercent: 20 } };
      await fleet.addPool(ns, POOL, { update });
      const before = (await fleet.pool(ns, POOL))?.status?.revision;
      const first = await fleet.place(ns, POOL, { turns: 30, pauseMs: 1_000 }, 4);
      await fleet.untilAnswered(first, 1);
      // Its workers speak to an ACS that is not there.
      await fleet.applyPool(ns, POOL, { update, acs: { endpoint: 'https://localhost:1' } });
      await fleet.untilPool(
        ns,
        POOL,
        'has its canary',
        ({ readyWorkers, rollout }) => rollout.phase === 'Canary' && readyWorkers === 3,
      );
      const rings = [];
      for (let round = 0; round < 4; round++) rings.push(...(await fleet.place(ns, POOL, { turns: 1, pauseMs: 0 }, 3)));
      const status = await fleet.untilPool(ns, POOL, 'is rolled back', ({ rollout }) => rollout.phase === 'RolledBack');
      assert.equal(status.revision, before);
      assert.match(status.rollout.message, /call set-ups failed/);
      await assertNoneCut(fleet, first);
    },
  },
  { atOnce: 2 },
);
