import { poolTag } from '../../contract/ids.ts';
import type { HeartbeatRecord } from '../../contract/records.ts';
import type { CallStatus, WorkerStatus } from '../ports.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';
import type { CallRegistry } from './registry.ts';

/** What the calls need to know of the process around them. */
export interface WorkerView {
  endpoint(): string;
  memoryBytes(): number;
  memoryBaselineBytes(): number;
  eventLoopLagMs(): number;
  relayedSockets(): number;
  unsentRecords(): number;
  /** Redis has no room for new calls. */
  redisFull(): boolean;
  spoolFull(): boolean;
  statusText: boolean;
}

export interface RedisView {
  readonly available: boolean;
  readonly unavailableForMs: number;
}

export interface StatusInput {
  calls: CallDeps;
  registry: CallRegistry;
  view: WorkerView;
  redis: RedisView;
}

export function heartbeatOf({ calls, registry, view }: StatusInput, admits: boolean): HeartbeatRecord {
  const { worker, incarnation, spec } = calls;
  const nowMs = calls.clock.monotonicMs();
  const agesMs = registry.live().map((call) => nowMs - call.createdAtMs);
  return {
    v: 1,
    worker,
    incarnation,
    endpoint: view.endpoint(),
    activeCalls: registry.size,
    slots: spec.slotsPerWorker,
    memoryBytes: view.memoryBytes(),
    memoryLimitBytes: spec.worker.memoryLimitMiB * 2 ** 20,
    memoryBaselineBytes: view.memoryBaselineBytes(),
    eventLoopLagMs: view.eventLoopLagMs(),
    relayedSockets: view.relayedSockets(),
    unsentRecords: view.unsentRecords(),
    admits,
    experience: calls.metrics.tally.read(),
    ...(agesMs.length === 0 ? {} : agesOf(agesMs)),
  };
}

export function agesOf(agesMs: readonly number[]): { oldestCallSeconds: number; meanCallAgeSeconds: number } {
  const sumMs = agesMs.reduce((total, age) => total + age, 0);
  return {
    oldestCallSeconds: Math.round(Math.max(...agesMs) / 1000),
    meanCallAgeSeconds: Math.round(sumMs / agesMs.length / 1000),
  };
}

export function statusOf(input: StatusInput, state: WorkerStatus['state'], startedAtMs: number): WorkerStatus {
  const { calls, registry, view, redis } = input;
  const live = registry.live();
  return {
    worker: calls.worker,
    incarnation: calls.incarnation,
    pool: poolTag(calls.pool),
    state,
    slots: calls.spec.slotsPerWorker,
    startedAtMs,
    redis: { available: redis.available, unavailableForMs: Math.round(redis.unavailableForMs) },
    dirtyCalls: [...live, ...registry.finishing()].filter((call) => call.record.dirty).length,
    unsentRecords: view.unsentRecords(),
    relayedSockets: view.relayedSockets(),
    eventLoopLagMs: view.eventLoopLagMs(),
    calls: live.map((call) => callStatus(call, calls.clock.monotonicMs(), view.statusText)),
  };
}

function callStatus(call: Call, nowMs: number, withText: boolean): CallStatus {
  return {
    callRef: call.ref,
    callConnectionId: call.callConnectionId,
    state: call.state,
    fence: call.fence,
    ageMs: Math.round(nowMs - call.createdAtMs),
    turns: call.turns.count,
    mediaAttached: call.media?.attached ?? false,
    stored: call.record.stored,
    ...(withText ? { recent: [...call.turns.recent] } : {}),
  };
}
