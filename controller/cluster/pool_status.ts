import { canonical, defined } from '../../platform/json.ts';
import type { Condition } from '../pool/finding.ts';
import type { Remembered } from '../pool/ports.ts';
import type { RolloutPhase } from '../pool/rollout/types.ts';
import type { LastScaling, PoolPhase, PoolStatus } from '../pool/status.ts';
import type { ActuationRecord } from '../redis_tier/ports.ts';

/** `status` of the resource, see crds/voiceworkerpool.yaml. */
export interface KubePoolStatus {
  observedGeneration: number;
  replicas: number;
  selector: string;
  readyWorkers: number;
  wantedWorkers: number;
  drainingWorkers: number;
  activeCalls: number;
  capacity: number;
  utilizationPercent: number;
  redis: PoolStatus['redis'];
  phase: PoolPhase;
  revision: string;
  updateRevision: string;
  image?: string;
  oldestCallSeconds?: number;
  scaleRequest?: { replicas: number; holds: boolean };
  lastScaling?: LastScaling;
  rollout: { phase: RolloutPhase; message: string; failed?: boolean };
  drains: KubeDrain[];
  waitingFor: string[];
  conditions: KubeCondition[];
  /** Written by itself, under a manager of its own: it must stand before anything is asked. */
  redisActuation?: ActuationRecord;
}

export interface KubeDrain {
  worker: string;
  reason: string;
  calls?: number;
  oldestCallSeconds?: number;
  expectedEnd?: string;
  waitingFor: string;
}

export interface KubeCondition extends Condition {
  observedGeneration?: number;
}

/** Text is cut to what the schema allows. */
const REASON_MAX = 1_024;
const MESSAGE_MAX = 4_096;
const WAITING_MAX = 1_024;

/** The status as the resource carries it. `nowMs`: Unix time, for times of day that people read. */
export function kubeStatus(
  status: PoolStatus,
  remember: Remembered,
  more: { selector: string; image: string | undefined; nowMs: number },
): KubePoolStatus {
  const { workers: _workers, conditions, drains, rollout, lastScaling, oldestCallSeconds, ...figures } = status;
  return {
    ...figures,
    selector: more.selector,
    rollout: { ...rollout, message: rollout.message.slice(0, REASON_MAX) },
    drains: drains.map(({ expectedSeconds, reason, waitingFor, worker, ...row }) => ({
      worker,
      reason: reason.slice(0, REASON_MAX),
      waitingFor: waitingFor.slice(0, WAITING_MAX),
      ...defined({ calls: row.calls, oldestCallSeconds: whole(row.oldestCallSeconds) }),
      ...(expectedSeconds === undefined ? {} : { expectedEnd: timeOfDay(more.nowMs + expectedSeconds * 1000) }),
    })),
    waitingFor: status.waitingFor.map((text) => text.slice(0, WAITING_MAX)),
    conditions: conditions.map((condition) => ({
      ...condition,
      message: condition.message.slice(0, MESSAGE_MAX),
      observedGeneration: status.observedGeneration,
    })),
    ...defined({
      image: more.image,
      oldestCallSeconds: whole(oldestCallSeconds),
      scaleRequest: remember.scale,
      lastScaling: lastScaling && { ...lastScaling, reason: lastScaling.reason.slice(0, REASON_MAX) },
    }),
  };
}

/** What a reader must see at once when it changes; the rest are figures that move all the time. */
export function structureOf(status: KubePoolStatus): string {
  const { activeCalls: _a, utilizationPercent: _u, oldestCallSeconds: _o, drains, waitingFor: _w, ...rest } = status;
  return canonical({
    ...rest,
    drains: drains.map(({ worker, reason }) => [worker, reason]),
    conditions: status.conditions.map(({ type, status: value, reason, observedGeneration }) => [
      type,
      value,
      reason,
      observedGeneration,
    ]),
  });
}

function timeOfDay(unixMs: number): string {
  // Whole minutes: an estimate that moves with every reading would be a write with every reading.
  return `${new Date(Math.round(unixMs / 60_000) * 60_000).toISOString().slice(0, 17)}00Z`;
}

const whole = (value: number | undefined): number | undefined => (value === undefined ? undefined : Math.round(value));
