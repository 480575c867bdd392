import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { PORTS, poolLabels } from '../../contract/labels.ts';
import { EDGE_FOLDER } from './support/edge.ts';

interface Container {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly readinessProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
}

interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly items: readonly { readonly key: string; readonly path: string }[] };
}

interface DeploymentSpec {
  readonly replicas: number;
  readonly strategy: { readonly rollingUpdate: object };
  readonly selector: Selector;
  readonly template: {
    readonly metadata: { readonly labels: object };
    readonly spec: {
      readonly automountServiceAccountToken: boolean;
      readonly shareProcessNamespace?: boolean;
      readonly terminationGracePeriodSeconds: number;
      readonly securityContext: { readonly runAsNonRoot: boolean; readonly seccompProfile: object };
      readonly topologySpreadConstraints: readonly { readonly labelSelector: Selector }[];
      readonly containers: readonly [Container, Container];
      readonly volumes: readonly Volume[];
    };
  };
}

interface PolicySpec {
  readonly egress: readonly {
    readonly to?: readonly { readonly podSelector: Selector }[];
    readonly ports: readonly { readonly port: number; readonly protocol: string }[];
  }[];
}

const text = (name: string): string => readFileSync(join(EDGE_FOLDER, name), 'utf8');
const configuration = text('haproxy.cfg');
const manifests = parseAllDocuments(text('edge.yaml')).map(
  (document) => document.toJS() as { kind: string; spec: unknown },
);

function specOf<T>(kind: string): T {
  const [found, second] = manifests.filter((manifest) => manifest.kind === kind);
  assert.ok(found && !second, kind);
  return found.spec as T;
}

const deployment = specOf<DeploymentSpec>('Deployment');
const service = specOf<{ selector: object; ports: readonly { targetPort: string }[] }>('Service');
const pod = deployment.template.spec;
const [haproxy, renew] = pod.containers;
const value = (name: string): string => haproxy.env.find((entry) => entry.name === name)?.value ?? '';

const crd = parse(readFileSync(fileURLToPath(new URL('../../crds/voiceworkerpool.yaml', import.meta.url)), 'utf8'));
const call = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.call.properties;
const hours = (name: string): number => {
  const found = new RegExp(`^\\s*${name} (\\d+)h$`, 'm').exec(configuration)?.[1];
  assert.ok(found, `${name} in hours`);
  return Number(found);
};

describe('the manifests of the edge', () => {
  it('give an edge that stops more time than the longest call takes', () => {
    const [, sleepSeconds] =
      /sleep (\d+); kill -USR1 1;/.exec(haproxy.lifecycle?.preStop.exec.command.at(-1) ?? '') ?? [];
    assert.ok(sleepSeconds !== undefined, 'preStop waits, then sends the soft stop');
    const longest = call.maxDurationSeconds.default + Number(sleepSeconds);
    assert.ok(pod.terminationGracePeriodSeconds > longest);
    assert.ok(hours('timeout tunnel') * 3_600 > call.maxDurationSeconds.maximum);
    assert.ok(!/^\s*hard-stop-after/m.test(configuration));
  });

  it('run the proxy as process 1 and in the foreground, or its soft stop would not be heard', () => {
    assert.deepEqual(haproxy.command, ['haproxy', '-db', '-f', '/etc/edge/haproxy.cfg']);
    assert.notEqual(pod.shareProcessNamespace, true);
  });

  it('bring a new edge up before an old one stops, and keep one at any time', () => {
    assert.ok(deployment.replicas >= 2);
    assert.deepEqual(deployment.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
    const budget = specOf<{ minAvailable: number; selector: Selector }>('PodDisruptionBudget');
    assert.equal(budget.minAvailable, 1);
    for (const selector of [
      budget.selector.matchLabels,
      deployment.selector.matchLabels,
      service.selector,
      ...pod.topologySpreadConstraints.map((each) => each.labelSelector.matchLabels),
    ])
      assert.deepEqual(selector, deployment.template.metadata.labels);
  });

  it('set every variable of the configuration, or the configuration does', () => {
    const used = new Set([...configuration.matchAll(/\$\{(EDGE_[A-Z_]+)/g)].map(([, name]) => name ?? ''));
    const preset = new Map(
      [...configuration.matchAll(/presetenv (EDGE_[A-Z_]+) "?([^"\n]+)"?/g)].map(([, name = '', text = '']) => [
        name,
        text,
      ]),
    );
    // An empty address is all of the Pod's; without a server, the one that the kubelet names is asked.
    const mayBeMissing = new Set(['EDGE_ADDRESS', 'EDGE_INSIDE_ADDRESS', 'EDGE_DNS']);
    assert.ok(used.size > 10);
    for (const name of used) assert.ok(preset.has(name) || mayBeMissing.has(name), name);
    for (const { name, value } of haproxy.env) assert.equal(preset.get(name), value, name);
    assert.deepEqual(renew.env, haproxy.env);
  });

  it('agree with the configuration and with the workers on ports and files', () => {
    const ports = Object.fromEntries(
      (haproxy.ports ?? []).map(({ name, containerPort }) => [name, `${containerPort}`]),
    );
    assert.deepEqual(ports, { https: value('EDGE_PORT'), inside: value('EDGE_INSIDE_PORT') });
    assert.equal(value('EDGE_WORKER_PORT'), `${PORTS.public}`);
    assert.equal(service.ports[0]?.targetPort, 'https');
    const certificate = pod.volumes.find(({ name }) => name === 'certificate')?.secret;
    const mount = haproxy.volumeMounts.find(({ name }) => name === 'certificate')?.mountPath;
    assert.deepEqual(
      certificate?.items.map(({ path }) => `${mount}/${path}`),
      [value('EDGE_CERTIFICATE'), `${value('EDGE_CERTIFICATE')}.key`],
    );
    assert.ok(
      haproxy.volumeMounts.some(({ mountPath, readOnly }) => mountPath === value('EDGE_RUN') && readOnly !== true),
    );
    assert.ok(Number(value('EDGE_MAXCONN_TOTAL')) > 2 * Number(value('EDGE_MAXCONN')) + 100);
  });

  it('give it no right that it does not use', () => {
    assert.equal(pod.automountServiceAccountToken, false);
    assert.deepEqual(
      [pod.securityContext.runAsNonRoot, pod.securityContext.seccompProfile],
      [true, { type: 'RuntimeDefault' }],
    );
    for (const { securityContext } of [haproxy, renew]) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    const { egress } = specOf<PolicySpec>('NetworkPolicy');
    const [dns, workers] = egress;
    assert.equal(egress.length, 2);
    assert.deepEqual(dns, { ports: [{ port: 53, protocol: 'UDP' }] });
    const labels = poolLabels({ namespace: 'any', pool: 'any' }, 'worker');
    const [peer] = workers?.to ?? [];
    assert.ok(peer);
    for (const [name, wanted] of Object.entries(peer.podSelector.matchLabels)) assert.equal(labels[name], wanted);
    assert.equal(workers?.ports[0]?.port, PORTS.public);
  });

  it('make the ConfigMap of both files', () => {
    const { configMapGenerator, resources } = parse(text('kustomization.yaml')) as Record<string, unknown[]>;
    const name = pod.volumes.find(({ configMap }) => configMap)?.configMap?.name;
    assert.deepEqual(resources, ['edge.yaml']);
    assert.deepEqual(configMapGenerator, [{ name, files: ['haproxy.cfg', 'renew.sh'] }]);
    assert.deepEqual(renew.command, ['/bin/sh', '/etc/edge/renew.sh']);
  });
});
