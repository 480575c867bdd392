import { type PoolRef, poolTag } from '../contract/ids.ts';
import { changedImmutables, type VoiceWorkerPool } from '../contract/pool.ts';
import type { Clock } from '../platform/clock.ts';
import type { PlacementExplanation } from '../state/ports.ts';
import type { Operations, PoolQuestion } from './api_routes.ts';
import { POOL_IMMUTABLE, POOL_UNKNOWN, REQUEST_INVALID, SCALE_REFUSED, WORKER_UNKNOWN } from './errors.ts';
import type { LocalHost } from './local_host.ts';
import { type PoolNote, revisionOf } from './pool/pool_note.ts';
import type { Explanation, Explanations } from './pool/scaling/explanations.ts';
import type { PoolStatus } from './pool/status.ts';
import type { Pools } from './pools.ts';
import type { LocalProcesses } from './runtime/local_processes.ts';

export interface ManagerDeps {
  readonly namespace: string;
  readonly host: LocalHost;
  readonly pools: Pools;
  readonly runtime: LocalProcesses;
  readonly explanations: Explanations;
  readonly clock: Clock;
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

/** What people ask of the pools of one state folder. */
export class PoolManager implements Operations {
  readonly #deps: ManagerDeps;

  constructor(deps: ManagerDeps) {
    this.#deps = deps;
  }

  /** Goes on with the pools known from before. */
  start(): void {
    const { host, pools } = this.#deps;
    host.onFigures = (ref) => pools.figuresRead(ref);
    for (const ref of host.load()) pools.enqueue(ref);
    pools.start();
  }

  /** Ends the loops; workers stay as they are. */
  async close(): Promise<void> {
    await this.#deps.pools.stop();
    await this.#deps.host.close();
  }

  /** False once a newer controller has taken over. */
  get leads(): boolean {
    return !this.#deps.pools.fenced;
  }

  list(): PoolReport[] {
    const { namespace, host, pools, clock } = this.#deps;
    return [...host.notes()].map(([name, note]) => ({
      metadata: {
        name,
        namespace,
        generation: note.generation,
        ageSeconds: Math.max(0, Math.round((clock.wallMs() - note.createdAtMs) / 1000)),
      },
      spec: note.document.spec,
      status: pools.get(this.#ref(name))?.status,
    }));
  }

  explain({ pool }: PoolQuestion): readonly Explanation[] {
    return this.#deps.explanations.list(pool === undefined ? undefined : poolTag(this.#ref(pool)));
  }

  /** Without a name the only pool is meant. */
  async explainPlacement({ pool }: PoolQuestion): Promise<PlacementExplanation> {
    const [only, ...more] = this.#deps.host.notes().keys();
    const name = pool ?? (more.length === 0 ? only : undefined);
    if (name === undefined) throw REQUEST_INVALID.with('pool: name one, there are several');
    const found = this.#deps.host.get(this.#ref(name));
    if (!found) throw POOL_UNKNOWN.with(name);
    const { links } = await this.#deps.host.prepare(found);
    return links.leases.explainPlacement(found.document.spec.placement.strategy);
  }

  /** Makes the pool or changes it; the same document again changes nothing. */
  async apply(
    document: VoiceWorkerPool,
  ): Promise<{ name: string; generation: number; revision: string; changed: boolean }> {
    const { host, pools, clock } = this.#deps;
    const { name } = document.metadata;
    const before = host.note(name);
    if (before) refuseImmutable(before.document, document);
    const changed = JSON.stringify(before?.document.spec) !== JSON.stringify(document.spec);
    const revision = revisionOf(document.spec);
    if (before && !changed) return { name, generation: before.generation, revision, changed };
    const createdAtMs = before?.createdAtMs ?? clock.wallMs();
    const note: PoolNote = { v: 1, ...before, createdAtMs, document, generation: (before?.generation ?? 0) + 1 };
    host.save(name, note);
    await pools.nextPass(this.#ref(name));
    return { name, generation: note.generation, revision, changed };
  }

  async scale(name: string, replicas: number): Promise<void> {
    const { host, pools } = this.#deps;
    const note = host.note(name);
    if (!note) throw POOL_UNKNOWN.with(name);
    const { minWorkers, maxWorkers, scaling } = note.document.spec;
    if (scaling.mode === 'Fixed') throw SCALE_REFUSED.with('scaling.mode is Fixed, minWorkers is the number');
    if (replicas < minWorkers || replicas > maxWorkers) {
      throw SCALE_REFUSED.with(`${replicas} is outside minWorkers..maxWorkers = ${minWorkers}..${maxWorkers}`);
    }
    host.save(name, { ...note, requestedReplicas: replicas });
    await pools.nextPass(this.#ref(name));
  }

  async drain(worker: string, { deadlineMs }: { deadlineMs: number | undefined }): Promise<void> {
    const { runtime, pools } = this.#deps;
    const found = runtime.all().find(({ id, presence }) => id === worker && presence !== 'ended');
    const reconciler = found && pools.get(found.ref);
    if (!found || !reconciler) throw WORKER_UNKNOWN.with(worker);
    await reconciler.drain(worker, deadlineMs);
    await pools.nextPass(found.ref);
  }

  #ref(pool: string): PoolRef {
    return { namespace: this.#deps.namespace, pool };
  }
}

/** What finds a live call's records must not move under it. */
function refuseImmutable(before: VoiceWorkerPool, after: VoiceWorkerPool): void {
  const changed = changedImmutables(before.spec, after.spec);
  if (changed.length > 0) throw POOL_IMMUTABLE.with(changed.join(', '));
}
