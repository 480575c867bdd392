import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANNOTATIONS, LABELS } from '../../contract/labels.ts';
import { aSpec } from '../../test/support/pool_views.ts';
import type { Node, Pod } from '../kube/objects.ts';
import { hostState, workerOf } from '../runtime/kube_pods/pod_state.ts';
import { type KubePool, poolObject } from './pool_resource.ts';
import { trimNode, trimPod, trimPool } from './trim.ts';

const NOW = '2026-01-01T00:00:00Z';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'desk-abcde',
    namespace: 'calls',
    uid: 'u1',
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
    deletionTimestamp: '2026-01-01T00:00:09Z',
    labels: { [LABELS.pool]: 'desk', [LABELS.revision]: 'r1', [LABELS.protected]: 'false', team: 'x' },
    annotations: { [ANNOTATIONS.admission]: 'cordoned', [ANNOTATIONS.drain]: 'now', 'example.com/note': 'long' },
  },
  spec: { nodeName: 'n1', containers: [{ name: 'worker', image: 'x', env: [] }] },
  status: {
    phase: 'Pending',
    podIP: '10.0.0.7',
    hostIP: '10.0.0.1',
    conditions: [
      { type: 'Ready', status: 'False' },
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no room' },
    ],
    containerStatuses: [
      { name: 'worker', started: true, restartCount: 2, state: { running: {} }, imageID: 'sha256:1' },
    ],
    initContainerStatuses: [
      { name: 'tunnel', restartCount: 0, state: { waiting: { reason: 'ErrImagePull', message: 'gone' } } },
    ],
  },
} as unknown as Pod;

describe('objects as the cache keeps them', () => {
  it('a Pod says of its worker what the whole Pod says, and is far smaller', () => {
    const kept = trimPod(POD);
    assert.deepEqual(workerOf(kept), workerOf(POD));
    assert.equal(workerOf(kept).trouble?.reason, 'ErrImagePull');
    assert.deepEqual(
      [kept.metadata.uid, kept.metadata.resourceVersion, kept.metadata.labels?.[LABELS.protected]],
      ['u1', '7', 'false'],
    );
    assert.doesNotMatch(JSON.stringify(kept), /example\.com|sha256|hostIP|team/);
  });

  it('a pool tells who wrote its replicas, and nothing of who wrote the rest', () => {
    const row = (manager: string, spec: object) => ({
      manager,
      operation: 'Update',
      time: NOW,
      fieldsV1: { 'f:spec': spec },
    });
    const rows = [row('kubectl', { 'f:minWorkers': {} }), row('autoscaler', { 'f:replicas': {}, 'f:maxWorkers': {} })];
    const pool = { metadata: { name: 'desk', namespace: 'calls', managedFields: rows }, spec: aSpec() } as KubePool;
    const kept = trimPool(pool);
    assert.equal(poolObject(kept).replicasManager, 'autoscaler');
    assert.equal(poolObject(kept).replicasManager, poolObject(pool).replicasManager);
    assert.doesNotMatch(JSON.stringify(kept.metadata), /f:minWorkers|f:maxWorkers/);
  });

  it('a Pod without a status is one that starts', () => {
    const bare = { metadata: { name: 'p', namespace: 'calls' } } as Pod;
    assert.deepEqual(workerOf(trimPod(bare)), workerOf(bare));
  });

  it('a node is as reachable and as free as the whole one', () => {
    const node = (ready: string, spec: object): Node =>
      ({
        metadata: { name: 'n1', labels: { zone: '1' } },
        spec,
        status: {
          conditions: [
            { type: 'MemoryPressure', status: 'False' },
            { type: 'Ready', status: ready },
          ],
        },
      }) as unknown as Node;
    for (const each of [
      node('True', {}),
      node('Unknown', {}),
      node('True', { unschedulable: true }),
      node('True', { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] }),
    ]) {
      assert.equal(hostState(trimNode(each)), hostState(each));
    }
  });
});
