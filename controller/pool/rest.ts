import type { Pulse } from '../../state/ports.ts';
import type { Observation } from '../sources/telemetry.ts';
import type { Finding } from './finding.ts';
import { STALE_MS } from './observe.ts';
import type { ScalingDecision } from './scaling/types.ts';
import { isAdmitting, isReady, type PoolView, type WorkerView } from './view.ts';

/** Something is under way that only a pass moves on. */
export function isBusy(view: PoolView, wanted: number): boolean {
  const { phase } = view.rollout;
  return (
    view.deleting ||
    view.redis.state !== 'available' ||
    view.pendingCreates.length > 0 ||
    phase === 'Canary' ||
    phase === 'Rolling' ||
    view.workers.some((worker) => !isReady(worker)) ||
    view.workers.filter(isAdmitting).length !== wanted
  );
}

/** Verdicts that the same figures would bring again, at any later time. */
const LASTING: ReadonlySet<ScalingDecision['verdict']> = new Set(['Steady', 'AtMaximum', 'Given']);

/** The same figures would lead to the same decisions: a pass is due only when they change. */
export function isAtRest(view: PoolView, wanted: number, last: ScalingDecision | undefined): boolean {
  if (isBusy(view, wanted) || !last || !LASTING.has(last.verdict)) return false;
  const { refusedCalls, uncountedWorkers } = last.terms;
  const timed = last.floor !== undefined || view.spec.scaling.schedules.length > 0 || (refusedCalls ?? 0) > 0;
  return !timed && uncountedWorkers === 0;
}

/** What has been read since the pass. */
export interface Reading {
  readonly nowMs: number;
  readonly pulse: Pulse | undefined;
  readonly of: (worker: string, incarnation: string | undefined) => Observation | undefined;
  readonly offered: PoolView['offered'];
  readonly tier: Finding;
}

/** What the last pass decided on. */
export interface Rest {
  readonly view: PoolView;
  readonly tier: Finding;
}

/** A change below this share of a worker's limit is the breathing of its heap. */
const MEMORY_SHARE = 0.01;

/** True when a pass now could decide otherwise than the last one did. */
export function saysNews({ view, tier }: Rest, now: Reading): boolean {
  return (
    now.pulse === undefined ||
    (now.pulse.recovering && !view.epochMissing) ||
    (view.redis.state === 'available' && now.pulse.refusedTotal !== view.redis.refusedTotal) ||
    now.tier.status !== tier.status ||
    now.tier.reason !== tier.reason ||
    !isSameOffer(view.offered, now.offered) ||
    view.workers.some((worker) => hasMoved(worker, now))
  );
}

function isSameOffer(before: PoolView['offered'], now: PoolView['offered']): boolean {
  if (before?.kind !== 'known' || now?.kind !== 'known') return before?.kind === now?.kind;
  return before.calls === now.calls;
}

function hasMoved({ id, incarnation, figures }: WorkerView, now: Reading): boolean {
  const newest = now.of(id, incarnation);
  if (!newest || !figures || now.nowMs - newest.observedAtMs > STALE_MS) return true;
  const next = newest.figures;
  const memoryBytes = Math.abs((next.memoryBytes ?? 0) - (figures.memoryBytes ?? 0));
  return (
    next.activeCalls !== figures.activeCalls ||
    next.callCapacity !== figures.callCapacity ||
    next.relayedSockets !== figures.relayedSockets ||
    next.unsentRecords !== figures.unsentRecords ||
    memoryBytes > MEMORY_SHARE * (figures.memoryLimitBytes ?? 0)
  );
}
