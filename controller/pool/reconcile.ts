import { type PoolRef, poolTag } from '../../contract/ids.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import { Affinity } from '../affinity.ts';
import type { ControllerMetrics } from '../metrics.ts';
import { Recovery } from '../recovery.ts';
import type { WorkerRuntime } from '../runtime/ports.ts';
import { act } from './act.ts';
import { conditionsOf, scalingFindings } from './conditions.ts';
import { CrashCounter } from './crash_backoff.ts';
import { actionEvent, eventsOf } from './events.ts';
import { Expectations } from './expectations.ts';
import type { Condition, Finding } from './finding.ts';
import { observe } from './observe.ts';
import { type Action, plan } from './plan.ts';
import { revisionOf } from './pool_note.ts';
import type { PoolHost, PoolLinks, PoolObject, Remembered } from './ports.ts';
import { isAtRest, isBusy, type Rest, saysNews } from './rest.ts';
import { qualityOf } from './rollout/quality.ts';
import { initialRollout, stepRollout } from './rollout/step.ts';
import type { RolloutState } from './rollout/types.ts';
import type { Explanations } from './scaling/explanations.ts';
import { Scaler } from './scaling/scaler.ts';
import { type LastScaling, type PoolStatus, statusOf } from './status.ts';
import { exists, isAdmitting, type PoolView } from './view.ts';

export interface ReconcilerDeps {
  readonly host: PoolHost;
  readonly runtime: WorkerRuntime;
  readonly explanations: Explanations;
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of this controller's term: an older one is refused by Redis. */
  readonly fence: number;
}

/** While something is under way it is looked at this often. */
const BUSY_PERIOD_MS = 1_000;
/** A pool in which nothing moves is looked at this often nevertheless: its records in Redis are kept. */
const REST_PERIOD_MS = 60_000;
/** With calls in it, the age of the oldest one is to be shown. */
const LIVE_REST_PERIOD_MS = 15_000;

/** One pool's decisions: each pass observes, plans, acts and reports. Passes of one pool never overlap; the queue sees to that. */
export class PoolReconciler {
  readonly ref: PoolRef;
  readonly #deps: ReconcilerDeps;
  readonly #expectations: Expectations;
  #scaler: Scaler | undefined;
  #rollout: RolloutState | undefined;
  #links: PoolLinks | undefined;
  #affinity: Affinity | undefined;
  #scaleSeen: number | undefined;
  #lastScaling: LastScaling | undefined;
  #conditions: readonly Condition[] = [];
  #status: PoolStatus | undefined;
  readonly #crashes = new CrashCounter();
  readonly #recovery: Recovery;
  #uid: string | undefined;
  /** Set while nothing but news can bring another decision. */
  #rest: Rest | undefined;

  constructor(ref: PoolRef, deps: ReconcilerDeps) {
    this.ref = ref;
    this.#deps = deps;
    this.#expectations = new Expectations(deps.clock);
    this.#recovery = new Recovery(deps);
  }

  get status(): PoolStatus | undefined {
    return this.#status;
  }

  /** One pass; `requeueAfterMs` says when the next is due, undefined once the pool is gone. */
  async pass(): Promise<{ requeueAfterMs: number } | undefined> {
    const pool = this.#deps.host.get(this.ref);
    if (!pool) return undefined;
    this.#rest = undefined;
    const { links, findings } = await this.#deps.host.prepare(pool);
    this.#link(pool, links);
    this.#restore(pool);
    await this.#affinity?.publish(this.#deps.runtime.list(this.ref), pool.document.spec.slotsPerWorker);
    let view = await this.#observe(pool, findings);
    this.#crashes.observe(view);
    if (this.#links) await this.#recovery.step(view, this.#links.leases, this.#affinity);
    view = await this.#roll(pool, view);
    const wanted = this.#scale(pool, view);
    const actions = plan(view, wanted);
    await act(this.#actDeps(pool), this.#actContext(pool), actions);
    if (actions.length > 0) view = await this.#observe(pool, findings);
    await this.#report(pool, view, wanted, findings);
    if (pool.deleting && view.workers.length === 0 && view.pendingCreates.length === 0) {
      await this.#deps.host.finish(pool);
    }
    return { requeueAfterMs: this.#nextPassMs(view, wanted) };
  }

  /** Asked after each reading of the figures: whether they call for a pass before the next one is due. */
  get hasNews(): boolean {
    const [rest, links] = [this.#rest, this.#links];
    if (!rest || !links?.pulse) return true;
    return saysNews(rest, {
      nowMs: this.#deps.clock.monotonicMs(),
      pulse: links.pulse(),
      of: (worker, incarnation) => links.telemetry.of(worker, incarnation),
      offered: links.offered?.(),
      tier: links.redisTier.finding,
    });
  }

  #nextPassMs(view: PoolView, wanted: number): number {
    const links = this.#links;
    if (!links || isBusy(view, wanted)) return BUSY_PERIOD_MS;
    if (!links.pulse) return links.periodMs;
    // The readings bring the passes; this is for readings that do not come.
    if (!isAtRest(view, wanted, this.#scaler?.last)) return 2 * links.periodMs;
    this.#rest = { view, tier: links.redisTier.finding };
    return this.#status?.activeCalls ? LIVE_REST_PERIOD_MS : REST_PERIOD_MS;
  }

  /** Asked for by a person or by a drain from outside, which has a deadline. */
  async drain(worker: string, deadlineMs: number | undefined): Promise<void> {
    const pool = this.#deps.host.get(this.ref);
    if (!pool) return;
    const action: Action = {
      kind: 'drain',
      worker,
      reason: 'asked for by an operator',
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    };
    await act(this.#actDeps(pool), this.#actContext(pool), [action]);
  }

  #link(pool: PoolObject, links: PoolLinks | undefined): void {
    if (links === this.#links) return;
    this.#links = links;
    const { clock, log, fence } = this.#deps;
    const lifeMs = pool.document.spec.redis.affinitySeconds * 1000;
    this.#affinity = links && new Affinity({ leases: links.leases, clock, log, fence, lifeMs });
  }

  /** The first pass goes on where the controller before this one stopped; a pool of the same name and another uid is another one. */
  #restore(pool: PoolObject): void {
    if (this.#scaler && this.#uid === pool.uid) return;
    this.#uid = pool.uid;
    const { remembered, document } = pool;
    const standing = this.#deps.runtime
      .list(this.ref)
      .filter(({ presence, admission }) => presence !== 'ended' && admission === 'admitting');
    const wanted = Math.max(standing.length, remembered.wanted ?? 0);
    this.#scaler = new Scaler({ spec: document.spec, wanted, clock: this.#deps.clock });
    this.#scaleSeen = remembered.scale?.replicas;
    if (remembered.scale) this.#scaler.restore(remembered.scale, document.spec);
    const nowMs = this.#deps.clock.monotonicMs();
    this.#rollout = remembered.rollout
      ? { ...remembered.rollout, sinceMs: nowMs }
      : initialRollout(revisionOf(document.spec), nowMs);
    this.#lastScaling = remembered.lastScaling;
    this.#conditions = remembered.conditions;
  }

  #observe(pool: PoolObject, findings: readonly Finding[]): Promise<PoolView> {
    const { spec } = pool.document;
    return observe(
      {
        ...this.#deps,
        leases: this.#links?.leases,
        telemetry: this.#links?.telemetry,
        offered: this.#links?.offered?.(),
        affinity: this.#affinity,
        expectations: this.#expectations,
      },
      {
        ref: this.ref,
        spec,
        rollout: this.#rollout ?? initialRollout(revisionOf(spec), this.#deps.clock.monotonicMs()),
        deleting: pool.deleting,
        blocked: findings.find(({ type, status }) => type === 'ConfigurationInvalid' && status === 'True')?.message,
        linked: this.#links !== undefined,
        crashes: this.#crashes.view(this.#deps.clock.monotonicMs()),
      },
    );
  }

  /** Moves the roll-out on by what the workers of both revisions tell, and keeps the documents that workers may still be made from. */
  async #roll(pool: PoolObject, view: PoolView): Promise<PoolView> {
    const { spec } = pool.document;
    const desired = revisionOf(spec);
    const existing = view.workers.filter(exists);
    const admitting = new Map<string, number>();
    for (const worker of existing.filter(isAdmitting)) {
      admitting.set(worker.revision, (admitting.get(worker.revision) ?? 0) + 1);
    }
    const next = stepRollout(view.rollout, {
      nowMs: view.nowMs,
      desired,
      policy: spec.update,
      present: new Set(existing.map(({ revision }) => revision)),
      admitting,
      quality: (revision) => qualityOf(existing, revision),
    });
    await this.#deps.host.keepRevision(
      pool,
      desired,
      new Set([next.stable, next.update, desired, ...view.workers.map(({ revision }) => revision)]),
    );
    if (next !== this.#rollout) {
      this.#deps.log.info({ pool: poolTag(this.ref), phase: next.phase, reason: next.reason }, 'roll-out');
    }
    this.#rollout = next;
    return { ...view, rollout: next };
  }

  #scale(pool: PoolObject, view: PoolView): number {
    const scaler = this.#scaler;
    if (!scaler) return 0;
    if (pool.replicas !== undefined && pool.replicas !== this.#scaleSeen) {
      scaler.request(pool.replicas, view.spec, pool.replicasManager);
    }
    this.#scaleSeen = pool.replicas;
    if (pool.deleting) return 0;
    const decision = scaler.decide(view, { redisFull: this.#links?.redisTier.refusesCalls ?? false });
    if (decision) {
      const nowMs = this.#deps.clock.wallMs();
      this.#deps.explanations.addScaling(poolTag(this.ref), decision, nowMs);
      this.#deps.metrics.countDecision(decision.verdict);
      if (decision.wanted !== decision.before) {
        const { before, wanted, reason } = decision;
        this.#lastScaling = { time: new Date(nowMs).toISOString(), from: before, to: wanted, reason };
      }
    }
    return scaler.wanted;
  }

  async #report(pool: PoolObject, view: PoolView, wanted: number, findings: readonly Finding[]): Promise<void> {
    const { clock, host, metrics } = this.#deps;
    const before = this.#conditions;
    const nowIso = new Date(clock.wallMs()).toISOString();
    const tier = this.#links?.redisTier.finding;
    const more = [...findings, ...scalingFindings(this.#scaler, view), ...(tier ? [tier] : [])];
    this.#conditions = conditionsOf(view, this.#scaler?.last, more, before, nowIso);
    const last = this.#status;
    this.#status = statusOf(view, {
      generation: pool.generation,
      wanted,
      conditions: this.#conditions,
      lastScaling: this.#lastScaling,
    });
    for (const event of eventsOf(last, this.#status)) host.event(pool, event);
    metrics.setPool(
      { namespace: this.ref.namespace, pool: this.ref.pool },
      {
        desired: wanted,
        ready: this.#status.readyWorkers,
        frozen: this.#conditions.some(({ type, status }) => type === 'ScalingFrozen' && status === 'True'),
      },
    );
    await host.report(pool, this.#status, this.#remember(wanted));
  }

  #remember(wanted: number): Remembered {
    const { sinceMs: _sinceMs, ...rollout } = this.#rollout ?? initialRollout('', 0);
    const scale =
      this.#scaleSeen === undefined
        ? undefined
        : { replicas: this.#scaleSeen, holds: this.#scaler?.last?.floor !== undefined };
    return { wanted, scale, rollout, lastScaling: this.#lastScaling, conditions: this.#conditions };
  }

  #actContext({ document, deleting }: PoolObject) {
    return { ref: this.ref, slots: document.spec.slotsPerWorker, deleting };
  }

  #actDeps(pool: PoolObject) {
    const { host, explanations, clock } = this.#deps;
    return {
      ...this.#deps,
      affinity: this.#affinity,
      commands: this.#links?.commands,
      expectations: this.#expectations,
      onDone: (action: Action) => {
        if (action.kind === 'drain' && action.candidates) {
          const { worker, reason, candidates } = action;
          explanations.addVictim(poolTag(this.ref), { worker, reason, candidates }, clock.wallMs());
        }
        host.event(pool, actionEvent(action));
      },
      onFailed: (action: Action, error: unknown) => {
        const message = `${action.kind}: ${error instanceof Error ? error.message : String(error)}`;
        host.event(pool, { type: 'Warning', reason: 'ActionFailed', message });
      },
    };
  }
}
