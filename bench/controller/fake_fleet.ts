import { newIncarnation, type PoolRef, poolTag } from '../../contract/ids.ts';
import { LABELS, PORTS } from '../../contract/labels.ts';
import type { HeartbeatRecord } from '../../contract/records.ts';
import type { KubeClient } from '../../controller/kube/client.ts';
import type { Informer } from '../../controller/kube/informer.ts';
import type { Pod } from '../../controller/kube/objects.ts';
import { PODS } from '../../controller/kube/resources.ts';
import type { Clock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { FakeTelemetry } from './fake_telemetry.ts';

interface FakeWorker {
  readonly ref: PoolRef;
  readonly beat: HeartbeatRecord;
}

const BEAT_MS = 4_000;
const SLICES = 40;
const MEMORY = { memoryBytes: 200 * 2 ** 20, memoryLimitBytes: 1024 * 2 ** 20, memoryBaselineBytes: 190 * 2 ** 20 };

/** Stands in for kubelets and workers: a Pod that was made is running a moment later, and its worker beats in Redis as real ones do. */
export class FakeFleet {
  readonly #client: KubeClient;
  readonly #leasesOf: (ref: PoolRef) => LeaseTable;
  readonly #slots: number;
  readonly #telemetry: FakeTelemetry | undefined;
  #workers: FakeWorker[] = [];
  readonly #calls = new Map<string, number>();
  readonly #seen = new Set<string>();
  /** The slice in which each pool's epoch was renewed last. */
  readonly #renewed = new Map<string, number>();
  readonly #timer;
  #closed = false;
  /** When a Pod of a pool was first seen, in Unix milliseconds: newest last. */
  readonly created = new Map<string, number[]>();
  #slice = 0;

  constructor(options: {
    client: KubeClient;
    pods: Informer<Pod>;
    leasesOf: (ref: PoolRef) => LeaseTable;
    slots: number;
    clock: Clock;
    /** Where workers tell their figures over HTTP as well; without it they have addresses that nobody answers under. */
    telemetry?: FakeTelemetry;
  }) {
    this.#client = options.client;
    this.#leasesOf = options.leasesOf;
    this.#slots = options.slots;
    this.#telemetry = options.telemetry;
    options.pods.onChange((_old, pod) => {
      if (pod) this.#play(pod.metadata.deletionTimestamp === undefined ? this.#start(pod) : this.#end(pod));
    });
    this.#timer = options.clock.every(BEAT_MS / SLICES, () => void this.#beatSlice());
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Calls that each worker of the pool says it has. */
  setCalls(ref: PoolRef, calls: number): void {
    this.#calls.set(poolTag(ref), calls);
  }

  close(): void {
    this.#closed = true;
    this.#timer.cancel();
  }

  /** What is still under way when the fleet is closed finds nobody any more. */
  #play(part: Promise<void>): void {
    part.catch((error: unknown) => {
      if (!this.#closed) throw error;
    });
  }

  async #start(pod: Pod): Promise<void> {
    const { name, namespace = '', uid = '', labels } = pod.metadata;
    if (this.#seen.has(uid)) return;
    this.#seen.add(uid);
    const ref = { namespace, pool: labels?.[LABELS.pool] ?? '' };
    this.created.set(poolTag(ref), [...(this.created.get(poolTag(ref)) ?? []), Date.now()]);
    const at = this.#seen.size;
    // Of the loopback network where somebody listens: each worker needs an address of its own.
    const podIP = `${this.#telemetry ? 127 : 10}.${1 + ((at >> 16) & 127)}.${(at >> 8) & 255}.${at & 255}`;
    const startedAt = new Date().toISOString();
    const status = {
      phase: 'Running',
      podIP,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        {
          name: 'worker',
          image: 'x',
          imageID: 'x',
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt } },
        },
      ],
    };
    const beat: HeartbeatRecord = {
      ...{
        v: 1,
        worker: name,
        incarnation: newIncarnation(systemRandom),
        endpoint: `http://${podIP}:${PORTS.internal}`,
      },
      ...{ activeCalls: 0, slots: this.#slots, eventLoopLagMs: 1, relayedSockets: 0, unsentRecords: 0, admits: true },
      ...MEMORY,
    };
    await this.#telemetry?.listen(podIP, () => ({ ...beat, activeCalls: this.#calls.get(poolTag(ref)) ?? 0 }));
    await this.#client.patch(PODS, { namespace, name }, { status }, 'merge', { subresource: 'status' });
    this.#workers.push({ ref, beat });
    await this.#leasesOf(ref).beat(beat);
    await this.#leasesOf(ref).renew({ worker: name, incarnation: beat.incarnation, held: [] });
  }

  /** One worker of each pool keeps its epoch, as all do that hold no lease. */
  #epochOf(ref: PoolRef, worker: string, incarnation: string): Promise<unknown>[] {
    const tag = poolTag(ref);
    if (this.#slice - (this.#renewed.get(tag) ?? Number.NEGATIVE_INFINITY) < SLICES / 2) return [];
    this.#renewed.set(tag, this.#slice);
    return [this.#leasesOf(ref).renew({ worker, incarnation, held: [] })];
  }

  /** What a kubelet does at the end: the Pod is gone when its processes are. */
  async #end({ metadata: { name, namespace = '', uid = '' } }: Pod): Promise<void> {
    this.#workers = this.#workers.filter(({ ref, beat }) => beat.worker !== name || ref.namespace !== namespace);
    await this.#client.delete(PODS, { namespace, name }, { uid, gracePeriodSeconds: 0 }).catch(() => undefined);
  }

  /** A fortieth of all workers at a time, so that the load on Redis is even. */
  async #beatSlice(): Promise<void> {
    const slice = this.#slice++ % SLICES;
    const due = this.#workers.filter((_, at) => at % SLICES === slice);
    await Promise.all(
      due.map(async ({ ref, beat }) => {
        const activeCalls = this.#calls.get(poolTag(ref)) ?? 0;
        const leases = this.#leasesOf(ref);
        const { worker, incarnation } = beat;
        const memoryBytes = breath(beat.memoryBytes);
        const beats = [leases.beat({ ...beat, activeCalls, memoryBytes }), ...this.#epochOf(ref, worker, incarnation)];
        await Promise.allSettled(beats);
      }),
    );
  }
}

/** The heap of an idle worker breathes: no two heartbeats are alike. */
function breath(memoryBytes: number): number {
  return memoryBytes + Math.round((systemRandom.fraction() - 0.5) * 4 * 2 ** 20);
}
