import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../../../tools/cluster/cluster.ts';
import { buildImages, pauseImage } from '../../../tools/cluster/image/build.ts';
import { binary } from '../../../tools/cluster/paths.ts';
import { kindMachines } from '../../kind/machines.ts';
import type { Machines } from './chaos.ts';
import type { ClusterAccess } from './fleet.ts';
import { Kubectl } from './kubectl.ts';
import { untilServed } from './served.ts';

/**
 * A cluster of this file's own; or the one that RTVOICE_E2E_KUBECONFIG names, with the images that RTVOICE_E2E_IMAGE and RTVOICE_E2E_TOOLS_IMAGE
 * name. RTVOICE_E2E_KIND says that its nodes are those of the cluster of that name of kind: then stories may do something to them.
 */
export async function openCluster(): Promise<ClusterAccess> {
  const given = process.env.RTVOICE_E2E_KUBECONFIG;
  return given === undefined ? ownCluster() : givenCluster(given);
}

function givenCluster(kubeconfig: string): ClusterAccess {
  const images = {
    rtvoice: process.env.RTVOICE_E2E_IMAGE ?? 'localhost/rtvoice-rtvoice:test',
    tools: process.env.RTVOICE_E2E_TOOLS_IMAGE ?? 'localhost/rtvoice-tools:test',
  };
  const kind = process.env.RTVOICE_E2E_KIND;
  const kubectl = 'kubectl';
  return {
    ...{ kubeconfig, kubectl, images, isShared: true },
    machines: kind === undefined ? undefined : kindMachines(kind, new Kubectl({ kubeconfig, program: kubectl })),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function ownCluster(): Promise<ClusterAccess> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const [pause, images] = [await pauseImage(), await buildImages(say)];
  const parent = await mkdtemp(join(tmpdir(), 'rtc-'));
  const folder = join(parent, 'c');
  const cluster = await Cluster.up({ folder, images: [pause.archive, images.rtvoice.archive, images.tools.archive] });
  const kubectl = binary('kubectl');
  return {
    kubeconfig: cluster.kubeconfig,
    kubectl,
    isShared: false,
    images: { rtvoice: images.rtvoice.reference, tools: images.tools.reference },
    machines: machinesOf(cluster, new Kubectl({ kubeconfig: cluster.kubeconfig, program: kubectl })),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

function machinesOf(cluster: Cluster, kubectl: Kubectl): Machines {
  const order = async (order: Record<string, string>) => void (await cluster.order(order));
  return {
    workerNodes: ['node2'],
    killKubelet: (node) => order({ op: 'kill', name: `kubelet-${node}` }),
    startKubelet: (node) => order({ op: 'start', name: `kubelet-${node}` }),
    killNode: (node) => order({ op: 'killNode', name: node }),
    startNode: (node) => order({ op: 'startNode', name: node }),
    async stopControlPlane() {
      await order({ op: 'kill', name: 'kube-apiserver' });
      await order({ op: 'kill', name: 'etcd' });
    },
    async startControlPlane() {
      await order({ op: 'start', name: 'etcd' });
      await order({ op: 'start', name: 'kube-apiserver' });
      await untilServed(kubectl);
      // They have given up without it.
      for (const name of ['kube-controller-manager', 'kube-scheduler']) {
        await order({ op: 'kill', name });
        await order({ op: 'start', name });
      }
    },
    async signal(_node, { namespace, name }, signal) {
      const uid = await kubectl.run(['get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.metadata.uid}']);
      const { signalled } = await cluster.order({ op: 'signalPod', uid, command: 'node ', signal });
      if (signalled === 0) throw new Error(`no process of ${namespace}/${name} was found`);
    },
  };
}
