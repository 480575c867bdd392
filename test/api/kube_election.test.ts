import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KubeClient } from '../../controller/kube/client.ts';
import { kubeEndpoint } from '../../controller/kube/credentials.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import { LEASES } from '../../controller/kube/resources.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { until } from '../support/calls_worker.ts';
import { Arrivals } from '../support/scripted_api.ts';

/** The election between processes, with the real API server's Lease. */

let root: string;
let server: ApiServer;
let client: KubeClient;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'kube-election-'));
  server = await ApiServer.start({ folder: join(root, 'server') });
  const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
  const endpoint = await kubeEndpoint('', server.kubeconfig());
  client = new KubeClient({ endpoint, clock: systemClock, log: silentLog, metrics });
});
after(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

test('another controller leads after the leader has been killed, and sooner when it has left in order', async (t) => {
  const leads = new Arrivals<string>('leader', 60_000);
  const processes = new Map(['a', 'b', 'c'].map((identity) => [identity, startElector(identity, leads)]));
  const terms: string[] = [];
  const leader = async () => {
    const line = await leads.next();
    terms.push(line);
    return line.split(' ')[0] ?? '';
  };
  try {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const identity = await leader();
      assert.equal(
        (await client.get(LEASES, { namespace: 'default', name: 'election' }))?.spec?.holderIdentity,
        identity,
      );
      const startMs = performance.now();
      processes.get(identity)?.kill(signal);
      await until(() => leads.count > 0, 'another leads', 60_000);
      t.diagnostic(`another leads ${Math.round(performance.now() - startMs)} ms after ${signal}`);
    }
    await leader();
    assert.equal(new Set(terms.map((term) => term.split(' ')[0])).size, 3, terms.join());
    assert.deepEqual(
      terms.map((term) => term.split(' ')[1]),
      ['0', '1', '2'],
    );
  } finally {
    await Promise.all([...processes.values()].map(endProcess));
  }
});

/** `<identity> <number>` comes to `leads` when it leads. */
function startElector(identity: string, leads: Arrivals<string>): ChildProcess {
  const program = fileURLToPath(import.meta.resolve('../support/elector_process.ts'));
  const child = spawn(process.execPath, [program, server.kubeconfig(), identity], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  createInterface(child.stdout).on('line', (line) => {
    const [word, number] = line.split(' ');
    if (word === 'lead') leads.push(`${identity} ${number}`);
  });
  return child;
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
