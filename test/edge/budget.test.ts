import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LABELS, poolLabels } from '../../contract/labels.ts';
import { budget } from '../../controller/routing/objects.ts';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { missingBinaries } from '../../tools/cluster/binaries.ts';
import { binary } from '../../tools/cluster/paths.ts';
import { until } from '../support/calls_worker.ts';
import { Kubectl } from '../support/e2e/kubectl.ts';

const missing = missingBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']);
const skip = missing.length > 0 && `${missing.join(', ')} not built; run: npm run cluster -- build`;

const POOL_KIND = { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool' };
const ref = { namespace: 'default', pool: 'desk' };

interface Budget {
  readonly status?: { readonly currentHealthy: number; readonly disruptionsAllowed: number };
}

/** A protected worker as the controller makes it, as far as budgets see it. */
function worker(name: string, uid: string): object {
  const owner = { ...POOL_KIND, name: ref.pool, uid, controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: ref.namespace,
      labels: { ...poolLabels(ref, 'worker'), [LABELS.protected]: 'true' },
      ownerReferences: [owner],
    },
    spec: { containers: [{ name: 'worker', image: 'none' }] },
  };
}

it('no protected worker may be evicted, however few /scale asks for', { skip, timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rtvoice-budget-'));
  const server = await ApiServer.start({ folder: join(folder, 'c'), controllerManager: true });
  try {
    const kubectl = new Kubectl({ kubeconfig: server.kubeconfig(), program: binary('kubectl') });
    await kubectl.run(['apply', '--server-side', '-f', fileURLToPath(new URL('../../crds', import.meta.url))]);
    await kubectl.run(['wait', '--for=condition=Established', 'crd/voiceworkerpools.rtvoice.dev']);
    const pool = { ...POOL_KIND, metadata: { name: ref.pool, namespace: ref.namespace }, spec: { environment: 'dev' } };
    await kubectl.apply([pool]);
    await kubectl.run(['scale', 'vwp', ref.pool, '--replicas=1']);
    const uid = await kubectl.run(['get', 'vwp', ref.pool, '-o', 'jsonpath={.metadata.uid}']);
    const owner = { ...POOL_KIND, name: ref.pool, uid };
    const names = ['desk-aaaaa', 'desk-bbbbb', 'desk-ccccc'];
    await kubectl.apply([budget({ ref, owner }), ...names.map((name) => worker(name, uid))]);
    const ready = JSON.stringify({ status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } });
    for (const name of names)
      await kubectl.run(['patch', 'pod', name, '--subresource=status', '--type=merge', '-p', ready]);
    let status: Budget['status'];
    const counted = async () => {
      status = (await kubectl.find<Budget>('pdb', ref.pool, ref.namespace))?.status;
      return status?.currentHealthy === names.length;
    };
    await until(counted, 'the budget has counted the workers', 60_000);
    assert.equal(status?.disruptionsAllowed, 0);
  } finally {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
});
