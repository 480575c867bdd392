import { type PoolRef, poolTag } from '../../contract/ids.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { LeaseTable } from '../../state/ports.ts';
import { Affinity } from '../affinity.ts';
import type { ControllerMetrics } from '../metrics.ts';
import { allReasserted } from '../recovery.ts';
import type { WorkerRuntime } from '../runtime/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { WorkerCommands } from '../worker_commands.ts';
import { type ActDeps, act } from './act.ts';
import { type Condition, conditionsOf } from './conditions.ts';
import { type CrashState, countCrash, crashView, NO_CRASHES } from './crash_backoff.ts';
import { Expectations } from './expectations.ts';
import { observe } from './observe.ts';
import { type Action, plan } from './plan.ts';
import { type PoolNote, revisionOf } from './pool_note.ts';
import type { Explanations } from './scaling/explanations.ts';
import { Scaler } from './scaling/scaler.ts';
import { type PoolStatus, statusOf } from './status.ts';
import { exists, type PoolView } from './view.ts';

export interface ReconcilerDeps {
  readonly runtime: WorkerRuntime;
  readonly leases: LeaseTable;
  readonly telemetry: Telemetry;
  readonly commands: WorkerCommands;
  readonly explanations: Explanations;
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fence: number;
  /** Keeps the note durably. */
  readonly save: (note: PoolNote) => void;
}

/** Nothing waits for longer than this to be looked at again. */
const PERIOD_MS = 1_000;

/** One pool's loop: observe, plan, act, status. Passes never overlap; a change while one runs asks for another. */
export class PoolReconciler {
  readonly ref: PoolRef;
  readonly #deps: ReconcilerDeps & ActDeps;
  readonly #scaler: Scaler;
  #note: PoolNote;
  #status: PoolStatus | undefined;
  #conditions: readonly Condition[] = [];
  #crashes: CrashState = NO_CRASHES;
  readonly #countedEnds = new Set<string>();
  #wasRecovering = false;
  #running: Promise<void> | undefined;
  #again = false;
  #timer: Timer | undefined;
  #closed = false;
  #fenced = false;

  constructor(ref: PoolRef, note: PoolNote, deps: ReconcilerDeps) {
    this.ref = ref;
    this.#note = note;
    const { clock, log, fence, leases } = deps;
    this.#deps = {
      ...deps,
      affinity: new Affinity({ leases, clock, log, fence }),
      expectations: new Expectations(clock),
    };
    const existing = deps.runtime
      .list()
      .filter(
        (worker) => sameRef(worker.ref, ref) && worker.presence !== 'ended' && worker.admission === 'admitting',
      ).length;
    this.#scaler = new Scaler({ spec: note.document.spec, wanted: Math.max(existing, note.wanted ?? 0), clock });
    if (note.requestedReplicas !== undefined) this.#scaler.restore(note.requestedReplicas);
  }

  get note(): PoolNote {
    return this.#note;
  }

  get status(): PoolStatus | undefined {
    return this.#status;
  }

  /** A newer controller writes this pool's records: this one does nothing any more. */
  get fenced(): boolean {
    return this.#fenced;
  }

  start(): void {
    this.#timer = this.#deps.clock.every(PERIOD_MS, () => void this.trigger());
    void this.trigger();
  }

  /** Ends the loop after the pass that runs; workers stay as they are. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** Asks for a pass; resolves when one that began after this call is done. */
  trigger(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#again = true;
    this.#running ??= this.#drainQueue().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  apply(note: PoolNote): Promise<void> {
    this.#note = note;
    return this.trigger();
  }

  /** A write to `/scale`. */
  scale(replicas: number): Promise<void> {
    this.#scaler.request(replicas, this.#note.document.spec);
    this.#note = { ...this.#note, requestedReplicas: replicas };
    this.#deps.save(this.#note);
    return this.trigger();
  }

  /** Asked for by a person or by a drain from outside, which has a deadline. */
  async drain(worker: string, deadlineMs: number | undefined): Promise<void> {
    const action: Action = {
      kind: 'drain',
      worker,
      reason: 'asked for by an operator',
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    };
    await act(this.#deps, this.#context(), [action]);
    await this.trigger();
  }

  async #drainQueue(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      const startMs = this.#deps.clock.monotonicMs();
      let result: 'success' | 'error' = 'success';
      try {
        await this.#reconcile();
      } catch (error) {
        result = 'error';
        this.#deps.log.error({ pool: this.ref.pool, err: error }, 'a reconcile pass failed');
        if (errorCode(error) === 'ERR_CONTROLLER_FENCED') this.#stepDown();
      }
      this.#deps.metrics.countReconcile(result, (this.#deps.clock.monotonicMs() - startMs) / 1000);
    }
  }

  async #reconcile(): Promise<void> {
    await this.#deps.affinity.spotCheck();
    await this.#publishAffinity();
    const view = await this.#observe();
    this.#countCrashes(view);
    await this.#recover(view);
    const wanted = this.#scale(view);
    await act(this.#deps, this.#context(), plan(view, wanted));
    this.#report(await this.#observe(), wanted);
  }

  /** What stands in Redis of each serving worker is what was decided, also after Redis was emptied. */
  async #publishAffinity(): Promise<void> {
    const slots = this.#note.document.spec.slotsPerWorker;
    const serving = this.#deps.runtime
      .list()
      .filter((worker) => sameRef(worker.ref, this.ref) && worker.presence === 'serving');
    await Promise.all(
      serving.map(({ id, admission, endpoint, revision }) =>
        endpoint === undefined
          ? true
          : this.#deps.affinity.assert({ worker: id, state: admission, endpoint, slots, revision }),
      ),
    );
  }

  #observe(): Promise<PoolView> {
    const { spec } = this.#note.document;
    const crashes = crashView(this.#crashes, this.#deps.clock.monotonicMs());
    return observe(this.#deps, { ref: this.ref, spec, revision: revisionOf(spec), crashes });
  }

  #countCrashes(view: PoolView): void {
    const ended = view.workers.filter((worker) => !exists(worker));
    for (const id of this.#countedEnds) if (!ended.some((worker) => worker.id === id)) this.#countedEnds.delete(id);
    for (const worker of ended) {
      if (worker.stopping || this.#countedEnds.has(worker.id)) continue;
      this.#countedEnds.add(worker.id);
      this.#crashes = countCrash(this.#crashes, worker.ageMs, view.nowMs);
    }
  }

  /** After an outage of Redis: everything is said again, and calls are placed as soon as every owner has re-asserted. */
  async #recover(view: PoolView): Promise<void> {
    const recovering = view.redis.state === 'recovering';
    if (recovering && !this.#wasRecovering) {
      this.#deps.log.warn({ pool: poolTag(this.ref) }, 'the pool is recovering: owners re-assert their leases');
    }
    this.#wasRecovering = recovering;
    if (!recovering) return;
    this.#deps.affinity.distrust();
    try {
      if (await allReasserted(view, this.#deps.leases)) await this.#deps.leases.confirmRecovery(this.#deps.fence);
    } catch (error) {
      this.#deps.log.debug(
        { code: errorCode(error) },
        'the recovery could not be confirmed; the next pass tries again',
      );
    }
  }

  #scale(view: PoolView): number {
    const decision = this.#scaler.decide(view);
    if (decision) {
      this.#deps.explanations.add(this.ref.pool, decision, this.#deps.clock.wallMs());
      this.#deps.metrics.countDecision(decision.verdict);
    }
    const { wanted } = this.#scaler;
    if (wanted !== this.#note.wanted) {
      this.#note = { ...this.#note, wanted };
      this.#deps.save(this.#note);
    }
    return wanted;
  }

  #report(view: PoolView, wanted: number): void {
    const decision = this.#scaler.last;
    this.#conditions = conditionsOf(
      view,
      decision,
      this.#conditions,
      new Date(this.#deps.clock.wallMs()).toISOString(),
    );
    this.#status = statusOf(view, { generation: this.#note.generation, wanted, conditions: this.#conditions });
    this.#deps.metrics.setPool(
      { namespace: this.ref.namespace, pool: this.ref.pool },
      {
        desired: wanted,
        ready: this.#status.readyWorkers,
        frozen: this.#conditions.some(({ type, status }) => type === 'ScalingFrozen' && status === 'True'),
      },
    );
  }

  #context() {
    const { spec } = this.#note.document;
    return { ref: this.ref, revision: revisionOf(spec), slots: spec.slotsPerWorker };
  }

  /** A newer controller has taken over: doing anything more would undo its work. */
  #stepDown(): void {
    this.#fenced = true;
    this.#closed = true;
    this.#timer?.cancel();
    this.#deps.metrics.setLeader(false);
  }
}

function sameRef(a: PoolRef, b: PoolRef): boolean {
  return a.namespace === b.namespace && a.pool === b.pool;
}
