import { type PoolSpec, parsePool } from '../../contract/pool.ts';
import type { RolloutState } from '../../controller/pool/rollout/types.ts';
import type { PoolView, WorkerView } from '../../controller/pool/view.ts';

/** What the schema gives to a document that says next to nothing. */
const DEFAULTS: PoolSpec = parsePool(
  'apiVersion: rtvoice.dev/v1alpha1\nkind: VoiceWorkerPool\nmetadata: { name: desk }\nspec: { environment: test }\n',
).spec;

/** Views for tests: a settled pool, changed where the test says so. */
export function aSpec(changes: Partial<PoolSpec> = {}): PoolSpec {
  const { scaling, worker, voice, ...rest } = structuredClone(DEFAULTS);
  return {
    ...rest,
    slotsPerWorker: 10,
    scaling: { ...scaling, intervalSeconds: 5 },
    worker: { ...worker, memoryLimitMiB: 512, hardSlotLimit: 20 },
    voice: { ...voice, backend: 'Echo', dialogue: '/dialogue.yaml' },
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
    host: undefined,
    restarts: 0,
    trouble: undefined,
    drainAsked: false,
    neighbours: 0,
    figures: {
      activeCalls: calls,
      callCapacity: 10,
      memoryBytes: 100 * MIB,
      memoryBaselineBytes: 90 * MIB,
      memoryLimitBytes: 512 * MIB,
      relayedSockets: 0,
      unsentRecords: 0,
      oldestCallSeconds: undefined,
      meanCallAgeSeconds: undefined,
      experience: undefined,
    },
    figuresAgeMs: 500,
    figuresAfterCordon: rest.admission !== undefined && rest.admission !== 'admitting',
    leases: calls,
    leaving: false,
    slots: 10,
    ...rest,
  };
}

/** Every worker is of one revision; `changes.phase` and the rest make it a roll-out. */
export function aRollout(changes: Partial<RolloutState> = {}): RolloutState {
  return { phase: 'Stable', stable: 'r1', update: 'r1', sinceMs: 0, reason: 'test', failed: false, ...changes };
}

export function aView(workers: readonly WorkerView[], changes: Partial<PoolView> = {}): PoolView {
  return {
    ref: { namespace: 'local', pool: 'desk' },
    spec: aSpec(),
    rollout: aRollout(),
    deleting: false,
    blocked: undefined,
    linked: true,
    callLengths: undefined,
    nowMs: 1_000_000,
    workers,
    pendingCreates: [],
    offered: undefined,
    redis: { state: 'available', refusedTotal: 0 },
    epochMissing: false,
    crashes: { streak: 0, holdMs: 0 },
    ...changes,
  };
}
