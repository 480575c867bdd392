import assert from 'node:assert/strict';
import { assertNoneCut, stories } from '../support/e2e/story.ts';

const POOL = 'desk';

stories('the edge', {
  'the edge is rolled out under load and cuts no call': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 35, pauseMs: 1_000 }, 8);
    await fleet.untilAnswered(calls, 2);
    await fleet.kubectl.run(['rollout', 'restart', '-n', 'rtvoice', 'deployment/rtvoice-edge']);
    await fleet.kubectl.run(['rollout', 'status', '-n', 'rtvoice', 'deployment/rtvoice-edge', '--timeout=120s'], {
      limitMs: 130_000,
    });
    const after = await fleet.place(ns, POOL, { turns: 3, pauseMs: 500 }, 4);
    await assertNoneCut(fleet, [...calls, ...after]);
  },

  'its certificate is replaced in the middle of calls': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 40, pauseMs: 1_000 }, 6);
    await fleet.untilAnswered(calls, 2);
    const before = await fleet.edgeCertificate();
    await fleet.renewEdgeCertificate();
    await fleet.untilEdgeCertificate((now) => now !== before);
    const after = await fleet.place(ns, POOL, { turns: 3, pauseMs: 500 }, 4);
    await assertNoneCut(fleet, [...calls, ...after]);
    const pods = await fleet.kubectl.list<{ status: { containerStatuses: { restartCount: number }[] } }>(
      'pod',
      'rtvoice',
      'app.kubernetes.io/component=edge',
    );
    assert.ok(pods.every(({ status }) => status.containerStatuses.every(({ restartCount }) => restartCount === 0)));
  },

  'the node of one edge is drained and no call is cut': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const [node] = fleet.machines.workerNodes;
    assert.ok(node);
    const calls = await fleet.place(ns, POOL, { turns: 30, pauseMs: 1_000 }, 8);
    await fleet.untilAnswered(calls, 2);
    try {
      await fleet.kubectl.run(['cordon', node]);
      const drained = fleet.kubectl.run(
        [
          'drain',
          node,
          '--ignore-daemonsets',
          '--delete-emptydir-data',
          '--timeout=170s',
          '--pod-selector=app.kubernetes.io/component=edge',
        ],
        { limitMs: 180_000 },
      );
      await assertNoneCut(fleet, calls);
      await drained;
    } finally {
      await fleet.kubectl.run(['uncordon', node]);
    }
    await fleet.untilPool(ns, POOL, 'is well', ({ phase }) => phase === 'Ready');
  },
});
