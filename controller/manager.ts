import type { VoiceWorkerPool } from '../contract/pool.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Random } from '../platform/random.ts';
import type { LeaseTable } from '../state/ports.ts';
import { POOL_IMMUTABLE, POOL_UNKNOWN, SCALE_REFUSED, WORKER_UNKNOWN } from './errors.ts';
import type { ControllerMetrics } from './metrics.ts';
import { type PoolNote, revisionOf } from './pool/pool_note.ts';
import { PoolReconciler } from './pool/reconcile.ts';
import { type Explanation, Explanations } from './pool/scaling/explanations.ts';
import type { PoolStatus } from './pool/status.ts';
import { readJson, writeDurably } from './runtime/durable_file.ts';
import type { LocalProcesses } from './runtime/local_processes.ts';
import type { StateFolder } from './runtime/state_folder.ts';
import { Telemetry } from './telemetry.ts';
import type { WorkerCommands } from './worker_commands.ts';

export interface ManagerDeps {
  readonly namespace: string;
  readonly folder: StateFolder;
  readonly runtime: LocalProcesses;
  readonly leasesOf: (pool: VoiceWorkerPool, namespace: string) => LeaseTable;
  readonly internalKey: string;
  readonly commands: WorkerCommands;
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fence: number;
}

export interface PoolReport {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly generation: number;
    readonly ageSeconds: number;
  };
  readonly spec: VoiceWorkerPool['spec'];
  readonly status: PoolStatus | undefined;
}

interface Managed {
  readonly reconciler: PoolReconciler;
  readonly telemetry: Telemetry;
}

const SCRAPE_PERIOD_MS = 1_000;

/** All pools of one state folder: which there are, and what people ask of them. */
export class PoolManager {
  readonly explanations = new Explanations();
  readonly #deps: ManagerDeps;
  readonly #pools = new Map<string, Managed>();
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(deps: ManagerDeps) {
    this.#deps = deps;
  }

  /** Goes on with the pools known from before. */
  start(): void {
    const { folder, runtime, clock } = this.#deps;
    for (const name of folder.names('pools')) {
      const note = readJson<PoolNote>(folder.pool(name));
      if (note) this.#manage(name, note);
      else this.#deps.log.error({ pool: name }, 'the note of a pool is not readable; its workers are left alone');
    }
    this.#timer = clock.every(SCRAPE_PERIOD_MS, () => void this.#scrape());
    this.#unsubscribe = runtime.onChange(() => void this.#scrape());
  }

  /** Ends the loops; workers stay as they are. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#unsubscribe?.();
    await Promise.all(
      [...this.#pools.values()].map(async ({ reconciler, telemetry }) => {
        await reconciler.close();
        await telemetry.close();
      }),
    );
  }

  /** False once a newer controller has taken a pool over. */
  get leads(): boolean {
    return [...this.#pools.values()].every(({ reconciler }) => !reconciler.fenced);
  }

  list(): PoolReport[] {
    const { namespace } = this.#deps;
    return [...this.#pools].map(([name, { reconciler }]) => ({
      metadata: {
        name,
        namespace,
        generation: reconciler.note.generation,
        ageSeconds: Math.max(0, Math.round((this.#deps.clock.wallMs() - reconciler.note.createdAtMs) / 1000)),
      },
      spec: reconciler.note.document.spec,
      status: reconciler.status,
    }));
  }

  explain(pool: string | undefined): readonly Explanation[] {
    return this.explanations.list(pool);
  }

  /** Makes the pool or changes it; the same document again changes nothing. */
  async apply(
    document: VoiceWorkerPool,
  ): Promise<{ name: string; generation: number; revision: string; changed: boolean }> {
    const { name } = document.metadata;
    const before = this.#pools.get(name)?.reconciler.note;
    if (before) refuseImmutable(before.document, document);
    const changed = JSON.stringify(before?.document.spec) !== JSON.stringify(document.spec);
    const revision = revisionOf(document.spec);
    if (before && !changed) return { name, generation: before.generation, revision, changed };
    const createdAtMs = before?.createdAtMs ?? this.#deps.clock.wallMs();
    const note: PoolNote = { v: 1, ...before, createdAtMs, document, generation: (before?.generation ?? 0) + 1 };
    this.#save(name, note);
    const managed = this.#pools.get(name);
    if (managed) await managed.reconciler.apply(note);
    else this.#manage(name, note);
    return { name, generation: note.generation, revision, changed };
  }

  async scale(name: string, replicas: number): Promise<void> {
    const pool = this.#pools.get(name);
    if (!pool) throw POOL_UNKNOWN.with(name);
    const { minWorkers, maxWorkers, scaling } = pool.reconciler.note.document.spec;
    if (scaling.mode === 'Fixed') throw SCALE_REFUSED.with('scaling.mode is Fixed, minWorkers is the number');
    if (replicas < minWorkers || replicas > maxWorkers) {
      throw SCALE_REFUSED.with(`${replicas} is outside minWorkers..maxWorkers = ${minWorkers}..${maxWorkers}`);
    }
    await pool.reconciler.scale(replicas);
  }

  async drain(worker: string, deadlineMs: number | undefined): Promise<void> {
    const found = this.#deps.runtime.list().find(({ id, presence }) => id === worker && presence !== 'ended');
    const pool = found && this.#pools.get(found.ref.pool);
    if (!pool) throw WORKER_UNKNOWN.with(worker);
    await pool.reconciler.drain(worker, deadlineMs);
  }

  #manage(name: string, note: PoolNote): void {
    const { namespace, folder, leasesOf, clock, internalKey } = this.#deps;
    writeDurably(folder.document(name), JSON.stringify(note.document, null, 2));
    const leases = leasesOf(note.document, namespace);
    const telemetry = new Telemetry({ clock, internalKey, heartbeat: (worker) => leases.heartbeat(worker) });
    const save = (next: PoolNote) => this.#save(name, next);
    const deps = { ...this.#deps, explanations: this.explanations, leases, telemetry, save };
    const reconciler = new PoolReconciler({ namespace, pool: name }, note, deps);
    this.#pools.set(name, { reconciler, telemetry });
    reconciler.start();
  }

  #save(name: string, note: PoolNote): void {
    writeDurably(this.#deps.folder.pool(name), JSON.stringify(note, null, 2));
    writeDurably(this.#deps.folder.document(name), JSON.stringify(note.document, null, 2));
  }

  /** New figures, then a pass that sees them. */
  async #scrape(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((managed) => this.#refresh(managed)));
  }

  async #refresh({ reconciler, telemetry }: Managed): Promise<void> {
    const targets = this.#deps.runtime.list().flatMap((worker) => {
      const { id, incarnation, endpoint, presence, ref } = worker;
      const serves =
        presence === 'serving' && ref.pool === reconciler.ref.pool && ref.namespace === reconciler.ref.namespace;
      return serves && incarnation !== undefined && endpoint !== undefined
        ? [{ worker: id, incarnation, endpoint }]
        : [];
    });
    // A dead worker is acted on at once; figures may take until their timeout.
    const pass = reconciler.trigger();
    await telemetry.refresh(targets);
    await pass;
    await reconciler.trigger();
  }
}

/** What finds a live call's records must not move under it. */
function refuseImmutable(before: VoiceWorkerPool, after: VoiceWorkerPool): void {
  if (before.spec.environment !== after.spec.environment) throw POOL_IMMUTABLE.with('spec.environment');
  if (before.spec.redis.keyPrefix !== after.spec.redis.keyPrefix) throw POOL_IMMUTABLE.with('spec.redis.keyPrefix');
}
