import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Machines } from '../support/e2e/chaos.ts';
import type { Kubectl } from '../support/e2e/kubectl.ts';
import { untilServed } from '../support/e2e/served.ts';

const execute = promisify(execFile);

/** Nodes of kind are containers of Docker with systemd, a kubelet and a containerd inside: what a story does to machines is done to those. */
export function kindMachines(cluster: string, kubectl: Kubectl): Machines {
  const controlPlane = `${cluster}-control-plane`;
  return {
    // The first one is the system node.
    workerNodes: [`${cluster}-worker2`],
    killKubelet: (node) => inside(node, 'systemctl kill --signal=SIGKILL kubelet; systemctl stop kubelet'),
    startKubelet: (node) => inside(node, 'systemctl start kubelet'),
    killNode: (node) => docker('kill', node),
    startNode: (node) => docker('start', node),
    // The kubelet first: it would bring them back.
    stopControlPlane: () =>
      inside(
        controlPlane,
        `systemctl stop kubelet; ${containersOf('kube-apiserver|etcd')} | xargs -r crictl stop -t 0`,
      ),
    async startControlPlane() {
      await inside(controlPlane, 'systemctl start kubelet');
      await untilServed(kubectl);
    },
    signal: (node, { namespace, name }, signal) => inside(node, signalScript(namespace, name, signal)),
  };
}

const containersOf = (names: string) => `crictl ps --name '^(${names})$' -q`;

/** To the node process of each container of the Pod: its first one, seen from outside. */
export function signalScript(namespace: string, pod: string, signal: string): string {
  return `
    set -eu
    sandbox=$(crictl pods --namespace '${namespace}' --name '^${pod}$' --state ready -q)
    signalled=0
    for container in $(crictl ps --pod "$sandbox" -q); do
      pid=$(crictl inspect -o go-template --template '{{.info.pid}}' "$container")
      if [ "$(cat "/proc/$pid/comm")" = node ]; then kill -s ${signal.replace(/^SIG/, '')} "$pid"; signalled=1; fi
    done
    [ "$signalled" = 1 ]`;
}

const inside = (node: string, script: string) => docker('exec', node, 'sh', '-c', script);

async function docker(...args: string[]): Promise<void> {
  await execute('docker', args);
}
