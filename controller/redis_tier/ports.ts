import type { PoolRef } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import type { RedisResource, TierLoad } from './rule.ts';

/** `spec.redis.actuator`, with the part of each actuator there is. */
export interface ActuatorSpec {
  readonly type: 'None' | RedisActuator['type'];
  /** Shortest time between two requests. */
  readonly cooldownSeconds: number;
  readonly webhook?: { readonly url: string; readonly signingKey: string };
  /** `skus`: those that may be taken, smallest first. */
  readonly azure?: { readonly resourceId: string; readonly skus: readonly string[] };
}

/** What a pool's document says of its Redis; `spec.redis` is one. */
export type TierSpec = Pick<PoolSpec['redis'], 'scaleAt' | 'shed'> & { readonly actuator: ActuatorSpec };

/** What an actuator is asked: make this Redis larger, for these reasons. */
export interface ScaleRequest {
  /** The same request sent again has the same key; a receiver acts on it once. */
  readonly key: string;
  readonly pool: PoolRef;
  readonly needs: readonly RedisResource[];
  readonly load: TierLoad;
  readonly thresholds: Readonly<Record<RedisResource, number>>;
  /** Unix milliseconds of the decision, for people. */
  readonly atMs: number;
}

export type ActuationOutcome =
  /** Redis is larger, or the receiver has taken the order. */
  | { readonly kind: 'done'; readonly message: string }
  /** Nothing was changed, and the same request would not change that: a person has to act. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It went wrong, and may go right another time. */
  | { readonly kind: 'failed'; readonly message: string };

export interface ActuationRun {
  /** Aborted when this controller stops or no longer leads: what was sent goes on without it. */
  readonly signal: AbortSignal;
  /** The other end has begun and will take a while. */
  onAccepted(message: string): void;
}

/** Makes Redis larger, never smaller. Neither method rejects for trouble of the other end; both do with the signal's reason. */
export interface RedisActuator {
  readonly type: 'Webhook' | 'AzureResourceManager';
  scaleUp(request: ScaleRequest, run: ActuationRun): Promise<ActuationOutcome>;
  /** What became of a request that an earlier controller sent and did not see the end of. Never asks for a second step. */
  resume(request: ScaleRequest, run: ActuationRun): Promise<ActuationOutcome>;
  close(): Promise<void>;
}

export type ActuationState =
  /** Written down, and sent right after; whether it arrived is not known. */
  | 'Requested'
  /** The other end works on it. */
  | 'Accepted'
  /** Redis is larger, or the order was taken. */
  | 'Done'
  /** A person has to act; the message says how. */
  | 'Refused'
  /** It went wrong; it is tried again after the cooldown. */
  | 'Failed';

/** The last request, as it is kept for the next controller (it belongs in the pool's status). */
export interface ActuationRecord {
  readonly key: string;
  /** ISO 8601, for people. */
  readonly time: string;
  readonly state: ActuationState;
  readonly message: string;
  /** The cooldown of this request is not over. A new controller waits for all of it again: too long rather than too short. */
  readonly holds: boolean;
}
