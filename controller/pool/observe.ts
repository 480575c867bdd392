import type { PoolRef } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { Affinity } from '../affinity.ts';
import type { RuntimeWorker, WorkerRuntime } from '../runtime/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Expectations } from './expectations.ts';
import type { CrashView, PoolView, RedisView, WorkerView } from './view.ts';

export interface ObserveDeps {
  readonly runtime: WorkerRuntime;
  readonly telemetry: Telemetry;
  readonly affinity: Affinity;
  readonly expectations: Expectations;
  readonly leases: LeaseTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** Figures older than this are stale: two scrapes and a heartbeat's life have passed. */
const STALE_MS = 8_000;

/** One immutable view of a pool: its workers, their figures, what Redis says. Never throws for trouble of Redis or of a worker. */
export async function observe(
  deps: ObserveDeps,
  pool: { ref: PoolRef; spec: PoolSpec; revision: string; crashes: CrashView },
): Promise<PoolView> {
  const list = deps.runtime
    .list()
    .filter(({ ref }) => ref.namespace === pool.ref.namespace && ref.pool === pool.ref.pool);
  deps.expectations.observe(list);
  const summary = await readSummary(deps);
  const nowMs = deps.clock.monotonicMs();
  return {
    ...pool,
    nowMs,
    workers: list.map((worker) => viewOf(deps, worker, summary?.calls, nowMs, pool.spec)),
    pendingCreates: deps.expectations.pendingCreates,
    redis: redisView(summary),
  };
}

type Summary = Awaited<ReturnType<LeaseTable['summary']>>;

async function readSummary({ leases, log }: ObserveDeps): Promise<Summary | undefined> {
  try {
    return await leases.summary();
  } catch (error) {
    log.debug({ code: errorCode(error) }, 'the lease table cannot be read');
    return undefined;
  }
}

function redisView(summary: Summary | undefined): RedisView {
  if (!summary) return { state: 'unavailable' };
  return { state: summary.recovering ? 'recovering' : 'available', refusedTotal: summary.refusedTotal };
}

function viewOf(
  deps: ObserveDeps,
  worker: RuntimeWorker,
  calls: Summary['calls'] | undefined,
  nowMs: number,
  spec: PoolSpec,
): WorkerView {
  const observation = deps.telemetry.of(worker.id, worker.incarnation);
  const figuresAgeMs = observation && nowMs - observation.observedAtMs;
  const fresh = figuresAgeMs !== undefined && figuresAgeMs <= STALE_MS ? observation?.figures : undefined;
  const cordonedSinceMs =
    worker.admission === 'admitting' ? undefined : deps.affinity.standsSinceMs(worker.id, worker.admission);
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
  };
}
