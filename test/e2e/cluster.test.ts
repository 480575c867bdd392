import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../../tools/cluster/cluster.ts';
import { buildImages, pauseImage } from '../../tools/cluster/image/build.ts';
import { binary } from '../../tools/cluster/paths.ts';
import { findProcesses } from '../../tools/cluster/processes.ts';
import { until } from '../support/calls_worker.ts';
import { Kubectl } from '../support/e2e/kubectl.ts';

/** The test cluster itself: everything that stories about rtvoice take for granted. */
const skip = process.env.RTVOICE_E2E_KUBECONFIG !== undefined && 'another cluster is named for this run';
const NAMES = ['node1', 'node2'];
const NODE_LIMIT_MS = 60_000;
const SERVER = `require('node:http').createServer((_, answer) => answer.end(require('node:os').hostname())).listen(8080)`;
let parent: string;
let folder: string;
let cluster: Cluster;
let kubectl: Kubectl;
let image: string;
/** What clusters before this one, or others beside it, have left on this machine. */
let netnsBefore: Set<string>;

const netns = () => (existsSync('/run/netns') ? readdirSync('/run/netns') : []);

function pod(name: string, node: string, command: string[]): object {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: {
      ...{ nodeName: node, restartPolicy: 'Always', terminationGracePeriodSeconds: 1 },
      // So that the death of a node does not take it away.
      tolerations: [{ operator: 'Exists' }],
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          ...{ name: 'main', image, imagePullPolicy: 'Never', command },
          securityContext: {
            ...{ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

const server = (name: string, node: string) => pod(name, node, ['node', '-e', SERVER]);
const service = (name: string) => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' } },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});

async function untilReady(name: string): Promise<string> {
  await kubectl.run(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=50s']);
  return kubectl.run(['get', 'pod', name, '-o', 'jsonpath={.status.podIP}']);
}

async function untilNode(name: string, ready: boolean): Promise<void> {
  const path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  const holds = async () => ((await kubectl.attempt(['get', 'node', name, path])).out === 'True') === ready;
  await until(holds, `node ${name} is ${ready ? '' : 'not '}ready`, NODE_LIMIT_MS);
}

/** Asked from inside the cluster's network; rejects when nothing answers. */
function ask(url: string): Promise<string> {
  const script = `fetch(${JSON.stringify(url)}).then((answer) => answer.text()).then(console.log)`;
  return cluster.run(process.execPath, ['-e', script]).then((text) => text.trim());
}

describe('the test cluster', { skip }, () => {
  before(async () => {
    netnsBefore = new Set(netns());
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const [pause, images] = [await pauseImage(), await buildImages(say)];
    image = images.rtvoice.reference;
    parent = mkdtempSync(join(tmpdir(), 'rtc-'));
    folder = join(parent, 'c');
    const users = [{ name: 'reader', groups: ['readers'] }];
    cluster = await Cluster.up({ folder, images: [pause.archive, images.rtvoice.archive], users });
    kubectl = new Kubectl({ kubeconfig: cluster.kubeconfig, program: binary('kubectl') });
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
    rmSync(parent, { recursive: true, force: true });
  });

  test('both nodes are ready, and each runs the image as a user without rights on a read-only system', async () => {
    for (const name of NAMES) await untilNode(name, true);
    // The binaries of the production pair load: WebSockets, and speech by its libraries.
    const script = `
    await import('uWebSockets.js');
    const { load } = (await import('koffi')).default;
    for (const name of ['libflite.so.1', 'libpocketsphinx.so.3']) load(name);
    console.log(process.version, process.getuid());
    setInterval(() => undefined, 60_000);`;
    for (const name of NAMES) {
      await kubectl.apply([pod(`version-${name}`, name, ['node', '--input-type=module', '-e', script])]);
      await untilReady(`version-${name}`);
      let log = '';
      await until(
        async () => {
          log = await kubectl.run(['logs', `version-${name}`]);
          return log !== '';
        },
        'it has logged',
        20_000,
      );
      assert.match(log, /^v24\.\d+\.\d+ 65532\n$/);
    }
  });

  test('a Service is found by its name from a Pod on the other node', async () => {
    await kubectl.apply([service('web'), server('web', 'node1'), server('client', 'node2')]);
    await Promise.all([untilReady('web'), untilReady('client')]);
    const script = `fetch('http://web.default.svc.cluster.local').then((answer) => answer.text()).then(console.log)`;
    const answers = async () =>
      (await kubectl.attempt(['exec', 'client', '--', 'node', '-e', script])).out.trim() === 'web';
    await until(answers, 'the Service answers', 20_000);
  });

  test('a user has the rights that are bound, no more', async () => {
    const reader = new Kubectl({ kubeconfig: cluster.kubeconfigOf('reader'), program: binary('kubectl') });
    assert.match((await reader.attempt(['get', 'pods'])).err, /User "reader" cannot list resource "pods"/);
    await kubectl.run(['create', 'clusterrolebinding', 'readers', '--clusterrole=view', '--group=readers']);
    await until(async () => (await reader.attempt(['get', 'pods'])).code === 0, 'the binding counts', 10_000);
    assert.notEqual((await reader.attempt(['delete', 'pod', 'client'])).code, 0);
  });

  test('a kubelet that dies takes the node out, and no container down', async () => {
    const ip = await untilReady('client');
    await cluster.node('node2').killKubelet();
    await untilNode('node2', false);
    assert.equal(await ask(`http://${ip}:8080`), 'client');
    await cluster.node('node2').startKubelet();
    await untilNode('node2', true);
    assert.equal(await ask(`http://${ip}:8080`), 'client');
  });

  test('while API server and etcd are away everything else goes on, and they come back with their data', async () => {
    const ip = await untilReady('web');
    await cluster.controlPlane.stop();
    await assert.rejects(cluster.run('kubectl', ['get', 'nodes']), /connection to the server .* was refused/);
    assert.equal(await ask(`http://${ip}:8080`), 'web');
    await cluster.controlPlane.start();
    for (const name of NAMES) await untilNode(name, true);
    await kubectl.apply([server('later', 'node1')]);
    await untilReady('later');
  });

  test('a node that loses its power comes back, and runs its Pods again', async () => {
    const restarts = () =>
      kubectl.run(['get', 'pod', 'client', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}']);
    const before = Number(await restarts());
    const ip = await untilReady('client');
    await cluster.node('node2').kill();
    await assert.rejects(ask(`http://${ip}:8080`));
    await untilNode('node2', false);
    await cluster.node('node2').start();
    await untilNode('node2', true);
    await until(async () => Number(await restarts()) > before, 'the container was started again', NODE_LIMIT_MS);
    const next = await untilReady('client');
    assert.notEqual(next, ip, 'an address is not given again at once: who has talked to it would not find the new Pod');
    assert.equal(await ask(`http://${next}:8080`), 'client');
  });

  test('the end leaves no process, no control group, no file', async () => {
    const { cgroup } = cluster.layout;
    const running = () => findProcesses(({ command, groups }) => command.includes(folder) || groups.includes(cgroup));
    assert.ok(running().length > 10);
    await cluster[Symbol.asyncDispose]();
    assert.deepEqual(running(), []);
    assert.equal(existsSync(folder), false);
    for (const tree of readdirSync('/sys/fs/cgroup'))
      assert.equal(existsSync(join('/sys/fs/cgroup', tree, cgroup)), false);
    assert.deepEqual(
      netns().filter((name) => !netnsBefore.has(name)),
      [],
    );
  });
});
