import assert from 'node:assert/strict';
import { until } from '../support/calls_worker.ts';
import type { ClusterFleet } from '../support/e2e/fleet.ts';
import { assertAllServed, assertNoneCut, stories } from '../support/e2e/story.ts';

const POOL = 'desk';
const long = { turns: 25, pauseMs: 1_000 };

/** Node of each worker by its name. */
async function places(fleet: ClusterFleet, ns: string): Promise<Map<string, string>> {
  const pods = await fleet.workers(ns, POOL);
  return new Map(pods.map(({ metadata, spec }) => [metadata.name, spec?.nodeName ?? '']));
}

async function untilNode(fleet: ClusterFleet, node: string, ready: 'True' | 'Unknown' | 'False'): Promise<void> {
  const path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  const matches = async () => {
    const { out } = await fleet.kubectl.attempt(['get', 'node', node, path]);
    return ready === 'True' ? out === 'True' : out !== 'True';
  };
  await until(matches, `node ${node} is ${ready}`, 90_000);
}

stories('nodes', {
  'kubectl drain of a node moves its workers and cuts no call': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL, { minWorkers: 4, maxWorkers: 6 });
    const [node] = fleet.machines.workerNodes;
    assert.ok(node);
    const calls = await fleet.place(ns, POOL, long, 12);
    await fleet.untilAnswered(calls, 2);
    assert.ok([...(await places(fleet, ns)).values()].includes(node), 'it has workers');
    try {
      const drained = fleet.kubectl.run(
        [
          'drain',
          node,
          '--ignore-daemonsets',
          '--delete-emptydir-data',
          '--timeout=150s',
          '--pod-selector=rtvoice.dev/pool',
        ],
        { limitMs: 160_000 },
      );
      await assertNoneCut(fleet, calls);
      await drained;
      await fleet.untilPool(
        ns,
        POOL,
        'stands elsewhere',
        ({ phase, drainingWorkers }) => phase === 'Ready' && drainingWorkers === 0,
      );
      assert.ok(![...(await places(fleet, ns)).values()].includes(node));
    } finally {
      await fleet.kubectl.run(['uncordon', node]);
    }
  },

  'a kubelet that dies leaves its calls where they are': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL, { minWorkers: 4, maxWorkers: 6 });
    const [node] = fleet.machines.workerNodes;
    assert.ok(node);
    const calls = await fleet.place(ns, POOL, { turns: 40, pauseMs: 1_000 }, 12);
    await fleet.untilAnswered(calls, 2);
    await fleet.machines.killKubelet(node);
    try {
      await untilNode(fleet, node, 'Unknown');
      const status = await fleet.untilPool(ns, POOL, 'says so', ({ conditions }) =>
        conditions.some(({ type, status: value }) => type === 'NodeUnreachable' && value === 'True'),
      );
      assert.match(status.conditions.find(({ type }) => type === 'NodeUnreachable')?.message ?? '', new RegExp(node));
      await assertNoneCut(fleet, calls);
    } finally {
      await fleet.machines.startKubelet(node);
    }
    await untilNode(fleet, node, 'True');
    await fleet.untilPool(ns, POOL, 'is well again', ({ phase }) => phase === 'Ready');
  },

  'the calls of a node whose processes all die go on elsewhere': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL, { minWorkers: 4, maxWorkers: 6 });
    const [node] = fleet.machines.workerNodes;
    assert.ok(node);
    const calls = await fleet.place(ns, POOL, { turns: 30, pauseMs: 1_000 }, 8);
    await fleet.untilAnswered(calls, 3);
    await fleet.machines.killNode(node);
    try {
      await assertAllServed(fleet, calls);
      const records = await Promise.all(calls.map((call) => call.record()));
      assert.ok(
        records.some(({ mediaConnects }) => mediaConnects > 1),
        'some of them had to move',
      );
      await fleet.untilPool(ns, POOL, 'stands elsewhere', ({ readyWorkers }) => readyWorkers >= 4);
    } finally {
      await fleet.machines.startNode(node);
    }
    await untilNode(fleet, node, 'True');
    await fleet.untilPool(
      ns,
      POOL,
      'is well again',
      ({ phase, drainingWorkers }) => phase === 'Ready' && drainingWorkers === 0,
    );
  },

  'an eviction of a worker with calls is refused, one without protection goes through': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 8, pauseMs: 500 }, 4);
    await fleet.untilAnswered(calls, 1);
    for (const { metadata } of await fleet.workers(ns, POOL)) {
      const { name } = metadata;
      const eviction = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: ns } });
      const path = `/api/v1/namespaces/${ns}/pods/${name}/eviction`;
      const { code, err } = await fleet.kubectl.attempt(['create', '--raw', path, '-f', '-'], { input: eviction });
      assert.notEqual(code, 0);
      assert.match(err, /disruption budget/);
    }
    await assertNoneCut(fleet, calls);
  },

  'a worker whose container is killed for its memory takes its calls up again': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 25, pauseMs: 1_000 }, 6);
    await fleet.untilAnswered(calls, 2);
    const [worker] = await fleet.workers(ns, POOL);
    assert.ok(worker?.spec?.nodeName);
    // As the kernel does it when the limit is reached.
    await fleet.machines.signal(worker.spec.nodeName, { namespace: ns, name: worker.metadata.name }, 'SIGKILL');
    await assertAllServed(fleet, calls);
    await fleet.untilPool(
      ns,
      POOL,
      'is well again',
      ({ phase, readyWorkers }) => phase === 'Ready' && readyWorkers === 2,
    );
    const [again] = (await fleet.workers(ns, POOL)).filter(({ metadata }) => metadata.uid === worker.metadata.uid);
    assert.equal(again?.status?.containerStatuses?.[0]?.restartCount, 1);
  },
});
