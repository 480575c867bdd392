import type { PoolSpec } from '../../contract/pool.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { Affinity } from '../affinity.ts';
import type { RuntimeWorker, WorkerRuntime } from '../runtime/ports.ts';
import type { Telemetry } from '../sources/telemetry.ts';
import type { CallLengths } from './drain_estimate.ts';
import type { Expectations } from './expectations.ts';
import type { PoolView, RedisView, WorkerView } from './view.ts';

export interface ObserveDeps {
  readonly runtime: WorkerRuntime;
  /** Undefined while the pool's Redis and key are not known. */
  readonly telemetry: Pick<Telemetry, 'of'> | undefined;
  readonly affinity: Affinity | undefined;
  readonly expectations: Expectations;
  readonly leases: LeaseTable | undefined;
  readonly offered: PoolView['offered'];
  readonly clock: Clock;
  readonly log: Log;
}

/** Figures older than this are stale: two scrapes and a heartbeat's life have passed. */
export const STALE_MS = 8_000;

/** One immutable view of a pool: its workers, their figures, what Redis says. Never throws for trouble of Redis or of a worker. */
export async function observe(
  deps: ObserveDeps,
  pool: Pick<PoolView, 'ref' | 'spec' | 'rollout' | 'deleting' | 'blocked' | 'linked' | 'crashes'>,
): Promise<PoolView> {
  const list = deps.runtime.list(pool.ref);
  deps.expectations.observe(list);
  const summary = await readSummary(deps);
  const nowMs = deps.clock.monotonicMs();
  const workers = list.map((worker) => viewOf(deps, worker, summary?.calls, nowMs, pool.spec));
  return {
    ...pool,
    nowMs,
    workers,
    pendingCreates: deps.expectations.pendingCreates,
    callLengths: lengthsOf(workers),
    offered: deps.offered,
    redis: redisView(summary, workers),
    epochMissing: summary?.recovering ?? false,
  };
}

type Summary = Awaited<ReturnType<LeaseTable['summary']>>;

async function readSummary({ leases, log }: ObserveDeps): Promise<Summary | undefined> {
  if (!leases) return undefined;
  try {
    return await leases.summary();
  } catch (error) {
    log.debug({ code: errorCode(error) }, 'the lease table cannot be read');
    return undefined;
  }
}

function redisView(summary: Summary | undefined, workers: readonly WorkerView[]): RedisView {
  if (!summary) return { state: 'unavailable' };
  const recovering = summary.recovering && workers.some(({ presence }) => presence === 'serving');
  return { state: recovering ? 'recovering' : 'available', refusedTotal: summary.refusedTotal };
}

function viewOf(
  deps: ObserveDeps,
  worker: RuntimeWorker,
  calls: Summary['calls'] | undefined,
  nowMs: number,
  spec: PoolSpec,
): WorkerView {
  const observation = deps.telemetry?.of(worker.id, worker.incarnation);
  const figuresAgeMs = observation && nowMs - observation.observedAtMs;
  const fresh = figuresAgeMs !== undefined && figuresAgeMs <= STALE_MS ? observation?.figures : undefined;
  const cordonedSinceMs =
    worker.admission === 'admitting' ? undefined : deps.affinity?.standsSinceMs(worker.id, worker.admission);
  return {
    ...worker,
    figures: fresh,
    figuresAgeMs,
    figuresAfterCordon:
      observation !== undefined && cordonedSinceMs !== undefined && observation.observedAtMs >= cordonedSinceMs,
    leases: calls && (calls[worker.id] ?? 0),
    leaving: deps.expectations.isLeaving(worker.id),
    // A worker that refuses calls by itself, or was started with fewer slots, is no larger than it says.
    slots:
      worker.admission === 'admitting' && fresh
        ? Math.min(spec.slotsPerWorker, fresh.callCapacity)
        : spec.slotsPerWorker,
    neighbours: worker.host ? deps.runtime.countOn(worker.host.name) - 1 : 0,
  };
}

/** Lengths of ended calls, summed over the workers that tell them. */
function lengthsOf(workers: readonly WorkerView[]): CallLengths | undefined {
  const told = workers.flatMap(({ figures }) => figures?.experience?.callLengths ?? []);
  const [first] = told;
  if (!first) return undefined;
  const alike = told.filter(({ seconds }) => seconds.length === first.seconds.length);
  return {
    seconds: first.seconds,
    counts: first.seconds.map((_, index) => alike.reduce((total, { counts }) => total + (counts[index] ?? 0), 0)),
    total: alike.reduce((total, lengths) => total + lengths.total, 0),
  };
}
