import type { PoolSpec } from '../../contract/pool.ts';
import type { PoolView, WorkerView } from '../../controller/pool/view.ts';

/** Views for tests: a settled pool, changed where the test says so. */
export function aSpec(changes: Partial<PoolSpec> = {}): PoolSpec {
  return {
    environment: 'test',
    minWorkers: 2,
    maxWorkers: 10,
    slotsPerWorker: 10,
    placement: { strategy: 'Spread' },
    overflow: { action: 'Reject' },
    scaling: {
      mode: 'Automatic',
      connectionsThresholdPercent: 80,
      memoryThresholdPercent: 70,
      scaleDownConnectionsPercent: 50,
      scaleDownMemoryPercent: 60,
      scaleDownStabilizationSeconds: 300,
      targetBlockingProbability: 0.01,
      intervalSeconds: 5,
    },
    drain: { externalDeadlineSeconds: 3600, atDeadline: 'HandOver' },
    call: {
      maxDurationSeconds: 14_400,
      idleTimeoutSeconds: 300,
      sampleRateHertz: 16_000,
      mediaReconnectGraceSeconds: 30,
    },
    worker: { memoryLimitMiB: 512, hardSlotLimit: 20 },
    redis: { unreplicatedGraceSeconds: 30, keyPrefix: 'rtvoice' },
    voice: { backend: 'Echo', dialogue: '/dialogue.yaml', voiceName: 'slt' },
    ...changes,
  };
}

const MIB = 2 ** 20;

export function aWorker(id: string, changes: Partial<WorkerView> & { calls?: number } = {}): WorkerView {
  const { calls = 0, ...rest } = changes;
  return {
    id,
    ref: { namespace: 'local', pool: 'desk' },
    revision: 'r1',
    presence: 'serving',
    admission: 'admitting',
    admissionReason: undefined,
    incarnation: `${id}-inc`,
    endpoint: 'http://127.0.0.1:1',
    ageMs: 100_000,
    stopping: false,
    figures: {
      activeCalls: calls,
      callCapacity: 10,
      memoryBytes: 100 * MIB,
      memoryBaselineBytes: 90 * MIB,
      memoryLimitBytes: 512 * MIB,
      relayedSockets: 0,
      unsentRecords: 0,
    },
    figuresAgeMs: 500,
    figuresAfterCordon: rest.admission !== undefined && rest.admission !== 'admitting',
    leases: calls,
    leaving: false,
    slots: 10,
    ...rest,
  };
}

export function aView(workers: readonly WorkerView[], changes: Partial<PoolView> = {}): PoolView {
  return {
    ref: { namespace: 'local', pool: 'desk' },
    spec: aSpec(),
    revision: 'r1',
    nowMs: 1_000_000,
    workers,
    pendingCreates: 0,
    redis: { state: 'available', refusedTotal: 0 },
    crashes: { streak: 0, holdMs: 0 },
    ...changes,
  };
}
