import assert from 'node:assert/strict';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { LABELS } from '../../contract/labels.ts';
import { ACCOUNT, ApiController } from '../support/api_controller.ts';
import { lacksApiServer } from '../support/crd_server.ts';
import { WriteWatch } from '../support/write_watch.ts';

const skip = lacksApiServer();

/** A controller that is killed after each write that the server has taken, and started again, until it is told to stop. */
async function mortal(api: ApiController) {
  const written: string[] = [];
  const kubeconfig = () => api.api.pki.kubeconfig(ACCOUNT, watch.url, join(api.folder, 'mortal.kubeconfig'));
  let child: ReturnType<ApiController['controller']> | undefined;
  const watch = await WriteWatch.start({
    url: api.api.url,
    caFile: api.api.pki.caFile,
    pkiFolder: dirname(api.api.pki.caFile),
    onWrite: (request) => {
      written.push(request);
      child?.kill('SIGKILL');
    },
  });
  let going = true;
  const lives = (async () => {
    while (going) {
      // One name: whoever holds the Lease under it goes on without waiting for its end.
      child = api.controller('mortal', kubeconfig());
      await once(child, 'exit');
    }
  })();
  return {
    written,
    async [Symbol.asyncDispose]() {
      going = false;
      child?.kill('SIGKILL');
      await lives;
      await watch[Symbol.asyncDispose]();
    },
  };
}

test('a controller that dies after each of its writes comes to the same end as one that lives', {
  skip,
  timeout: 280_000,
}, async () => {
  const api = await ApiController.start();
  const run = await mortal(api);
  const workers = async (selector = `${LABELS.pool}=desk`) => api.kubectl.list<Worker>('pod', 'calls', selector);
  try {
    await api.applyPool('desk', { minWorkers: 1 });
    await api.until('desk', 'is ready', ({ phase }) => phase === 'Ready', 90_000);
    const [first] = await workers();
    await api.kubectl.run(['scale', '-n', 'calls', 'vwp/desk', '--replicas=2']);
    const before = await api.until('desk', 'has two', ({ readyWorkers }) => readyWorkers === 2, 60_000);
    assert.ok(
      (await workers()).some(({ metadata }) => metadata.uid === first?.metadata.uid),
      'the first one stayed',
    );
    await api.applyPool('desk', { minWorkers: 1, voice: { greeting: 'Good morning.' } });
    const after = await api.until(
      'desk',
      'is rolled out',
      ({ revision, updateRevision, readyWorkers, drainingWorkers, rollout }) =>
        rollout.phase === 'Stable' &&
        revision !== before.revision &&
        revision === updateRevision &&
        readyWorkers === 2 &&
        drainingWorkers === 0,
      120_000,
    );
    const standing = await workers();
    assert.equal(standing.length, 2, 'none too many was left behind');
    for (const { metadata } of standing) assert.equal(metadata.labels[LABELS.revision], after.revision);
    await api.kubectl.run(['delete', 'vwp', 'desk', '-n', 'calls', '--timeout=90s'], { limitMs: 100_000 });
    assert.deepEqual(await workers(), []);
  } catch (error) {
    throw new Error(`${run.written.join('\n')}\n${api.log('mortal')}`, { cause: error });
  } finally {
    await run[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  }
  assert.ok(run.written.length > 20, `${run.written.length} writes, and as many deaths`);
});

interface Worker {
  readonly metadata: { readonly uid: string; readonly labels: Readonly<Record<string, string>> };
}
