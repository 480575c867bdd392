import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANNOTATIONS, LABELS } from '../../../contract/labels.ts';
import { aSpec } from '../../../test/support/pool_views.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { type Json, mergePodSpec } from './merge_template.ts';
import { hostState, workerOf } from './pod_state.ts';
import { workerPod } from './pod_template.ts';

const REF = { namespace: 'calls', pool: 'desk' };

function aPod(changes: { metadata?: object; status?: object; spec?: object } = {}): Pod {
  return {
    metadata: {
      name: 'desk-abcde',
      namespace: 'calls',
      uid: 'u1',
      labels: { [LABELS.pool]: 'desk', [LABELS.revision]: 'r1' },
      annotations: { [ANNOTATIONS.admission]: 'admitting' },
      ...changes.metadata,
    },
    spec: { nodeName: 'n1', containers: [], ...changes.spec },
    status: {
      phase: 'Running',
      podIP: '10.0.0.7',
      containerStatuses: [{ name: 'worker', started: true, restartCount: 0, state: { running: {} } }],
      ...changes.status,
    },
  } as unknown as Pod;
}

const aNode = (changes: { spec?: object; ready?: string } = {}): Node =>
  ({
    metadata: { name: 'n1' },
    spec: changes.spec ?? {},
    status: { conditions: [{ type: 'Ready', status: changes.ready ?? 'True' }] },
  }) as unknown as Node;

const waiting = (reason: string, more: object = {}) => ({
  phase: 'Pending',
  containerStatuses: [
    { name: 'worker', started: false, restartCount: 0, state: { waiting: { reason, message: 'm' } }, ...more },
  ],
});

describe('a Pod as a worker', () => {
  it('serves once its container has started, whatever `Ready` says', () => {
    const worker = workerOf(aPod());
    assert.deepEqual(
      [worker.presence, worker.admission, worker.endpoint, worker.revision],
      ['serving', 'admitting', 'http://10.0.0.7:8081', 'r1'],
    );
    const notReady = { ...aPod().status, conditions: [{ type: 'Ready', status: 'False' }] };
    assert.equal(workerOf(aPod({ status: notReady })).presence, 'serving');
    assert.equal(workerOf(aPod({ status: { podIP: 'fd00::7' } })).endpoint, 'http://[fd00::7]:8081');
  });

  it('starts while its container waits or has not passed its probe, and has ended with its phase', () => {
    const probing = [{ name: 'worker', started: false, restartCount: 0, state: { running: {} } }];
    assert.equal(workerOf(aPod({ status: { containerStatuses: probing } })).presence, 'starting');
    assert.equal(workerOf(aPod({ status: { containerStatuses: undefined } })).presence, 'starting');
    for (const phase of ['Failed', 'Succeeded']) {
      assert.equal(workerOf(aPod({ status: { phase } })).presence, 'ended');
    }
  });

  it('tells why it does not start, and what kind of trouble that is', () => {
    const cases: [object, string | undefined][] = [
      [waiting('ErrImageNeverPull'), 'image'],
      [waiting('ImagePullBackOff'), 'image'],
      [waiting('CreateContainerConfigError'), 'configuration'],
      [waiting('CrashLoopBackOff', { restartCount: 4 }), 'crashLoop'],
      [waiting('ContainerCreating'), undefined],
      [
        { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] },
        'unschedulable',
      ],
    ];
    for (const [status, kind] of cases) {
      assert.equal(
        workerOf(aPod({ status: { containerStatuses: [], ...status } })).trouble?.kind,
        kind,
        JSON.stringify(status),
      );
    }
  });

  it('is stopping, drained on request and of unknown admission as its metadata says', () => {
    const annotated = (annotations: object) => workerOf(aPod({ metadata: { annotations } }));
    assert.ok(workerOf(aPod({ metadata: { deletionTimestamp: 'x' } })).stopping);
    assert.ok(annotated({ [ANNOTATIONS.drain]: 'now' }).drainAsked);
    assert.ok(!annotated({ [ANNOTATIONS.drain]: 'false' }).drainAsked);
    assert.equal(annotated({ [ANNOTATIONS.admission]: 'draining' }).admission, 'draining');
    assert.equal(annotated({ [ANNOTATIONS.admission]: 'nonsense' }).admission, 'admitting');
  });
});

describe('a node as a host', () => {
  it('leaves when cordoned or tainted for removal, and is unreachable without a sign of life or when it is gone', () => {
    const tainted = (key: string) => aNode({ spec: { taints: [{ key, effect: 'NoSchedule' }] } });
    assert.equal(hostState(aNode()), 'usable');
    assert.equal(hostState(aNode({ spec: { unschedulable: true } })), 'leaving');
    assert.equal(hostState(tainted('ToBeDeletedByClusterAutoscaler')), 'leaving');
    assert.equal(hostState(tainted('DeletionCandidateOfClusterAutoscaler')), 'usable', 'only a plan');
    assert.equal(hostState(tainted('example.com/other')), 'usable');
    assert.equal(hostState(aNode({ ready: 'Unknown', spec: { unschedulable: true } })), 'unreachable');
    assert.equal(hostState(undefined), 'unreachable');
  });
});

describe('the Pod of a worker', () => {
  const pod = (podTemplate?: object): Json =>
    workerPod({
      id: 'desk-abcde',
      ref: REF,
      revision: 'r1',
      spec: aSpec({ worker: { ...aSpec().worker, ...(podTemplate ? { podTemplate } : {}) } }),
      configMap: 'desk-r1',
      image: 'image:1',
      publicUrl: 'https://calls.example',
    });
  const spec = (value: Json) => value.spec as Json;
  const worker = (value: Json) => (spec(value).containers as Json[])[0] as Json;

  it('has its name in DNS, is protected from birth, and stays on a node that is not heard of', () => {
    const made = pod();
    const { labels, annotations } = made.metadata as { labels: Json; annotations: Json };
    assert.deepEqual([spec(made).hostname, spec(made).subdomain], ['desk-abcde', 'desk-calls']);
    assert.equal(labels[LABELS.protected], 'true');
    assert.equal(annotations[ANNOTATIONS.safeToEvict], 'false');
    const tolerations = spec(made).tolerations as Json[];
    assert.ok(tolerations.every((toleration) => !('tolerationSeconds' in toleration)));
    assert.deepEqual(
      tolerations.map(({ key }) => key),
      ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'],
    );
  });

  it('meets the restricted Pod security standard', () => {
    const made = pod();
    assert.deepEqual(
      [(spec(made).securityContext as Json).runAsNonRoot, (spec(made).securityContext as Json).seccompProfile],
      [true, { type: 'RuntimeDefault' }],
    );
    assert.deepEqual(worker(made).securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('takes the template under what is ours', () => {
    const made = pod({
      metadata: { labels: { team: 'voice', [LABELS.pool]: 'other' }, annotations: { note: 'x' } },
      spec: {
        hostname: 'mine',
        restartPolicy: 'Never',
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ key: 'spot', operator: 'Exists' }],
        volumes: [
          { name: 'dialogue', emptyDir: {} },
          { name: 'rtvoice-pool', emptyDir: {} },
        ],
        containers: [
          {
            name: 'worker',
            image: 'evil',
            env: [
              { name: 'A', value: '1' },
              { name: 'RTVOICE_POOL', value: 'other' },
            ],
            resources: { limits: { cpu: '2', memory: '9Gi' } },
          },
          { name: 'sidecar', image: 'logs' },
        ],
      },
    });
    const { labels, annotations } = made.metadata as { labels: Json; annotations: Json };
    assert.deepEqual([labels.team, labels[LABELS.pool], annotations.note], ['voice', 'desk', 'x']);
    assert.deepEqual(
      [spec(made).hostname, spec(made).restartPolicy, spec(made).nodeSelector],
      ['desk-abcde', 'Always', { disk: 'ssd' }],
    );
    assert.equal((spec(made).tolerations as Json[]).length, 3);
    assert.deepEqual(
      (spec(made).volumes as Json[]).map(({ name }) => name),
      ['dialogue', 'rtvoice-pool', 'rtvoice-work'],
    );
    assert.deepEqual(
      (spec(made).containers as Json[]).map(({ name, image }) => [name, image]),
      [
        ['worker', 'image:1'],
        ['sidecar', 'logs'],
      ],
    );
    const env = worker(made).env as Json[];
    assert.deepEqual(
      env.filter(({ name }) => name === 'RTVOICE_POOL' || name === 'A').map(({ value }) => value),
      ['1', 'desk'],
    );
    assert.deepEqual((worker(made).resources as Json).limits, { cpu: '2', memory: '512Mi' });
  });

  it('ignores what is no list or mapping in the template', () => {
    const merged = mergePodSpec(
      { containers: [{ name: 'worker' }] },
      { containers: 'x', tolerations: 7, volumes: null },
    );
    assert.deepEqual(merged.containers, [{ name: 'worker' }]);
  });
});
