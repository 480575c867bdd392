import type { PoolRef } from '../../contract/ids.ts';
import type { VoiceWorkerPool } from '../../contract/pool.ts';
import type { LeaseTable, Pulse } from '../../state/ports.ts';
import type { ActuationRecord } from '../redis_tier/ports.ts';
import type { RedisTier } from '../redis_tier/tier.ts';
import type { Telemetry } from '../sources/telemetry.ts';
import type { WorkerCommands } from '../worker_commands.ts';
import type { Condition, Finding } from './finding.ts';
import type { RolloutState } from './rollout/types.ts';
import type { LastScaling, PoolStatus } from './status.ts';
import type { PoolView } from './view.ts';

/** One pool as the API server or the state folder holds it. */
export interface PoolObject {
  readonly ref: PoolRef;
  /** Another one under the same name is another pool. Undefined in local mode, where a pool is never deleted. */
  readonly uid: string | undefined;
  readonly document: VoiceWorkerPool;
  /** Raised with each change of the document. */
  readonly generation: number;
  readonly deleting: boolean;
  /** What was written to `/scale`, and by whom. */
  readonly replicas: number | undefined;
  readonly replicasManager: string | undefined;
  readonly remembered: Remembered;
  /** What the actuator of its Redis was asked last. */
  readonly redisActuation: ActuationRecord | undefined;
}

/** What a new controller must know of the decisions of the one before it; part of the status. */
export interface Remembered {
  /** The number that stood last: a restart starts no lower. */
  readonly wanted: number | undefined;
  /** The write to `/scale` that was taken in last; `holds`: its time as a floor is not over. */
  readonly scale: { readonly replicas: number; readonly holds: boolean } | undefined;
  readonly rollout: Omit<RolloutState, 'sinceMs'> | undefined;
  readonly lastScaling: LastScaling | undefined;
  readonly conditions: readonly Condition[];
}

export const NOTHING_REMEMBERED: Remembered = {
  wanted: undefined,
  scale: undefined,
  rollout: undefined,
  lastScaling: undefined,
  conditions: [],
};

/** How the controller reaches one pool's Redis and workers. */
export interface PoolLinks {
  readonly leases: LeaseTable;
  readonly telemetry: Pick<Telemetry, 'of'>;
  readonly commands: Pick<WorkerCommands, 'drain'>;
  /** Whether Redis itself has to grow. */
  readonly redisTier: Pick<RedisTier, 'finding' | 'refusesCalls'>;
  /** Offered calls by a source besides the workers, when the pool has one. */
  readonly offered?: () => PoolView['offered'];
  /** Time between two readings of the workers' figures. */
  readonly periodMs: number;
  /** What was read beside the figures. Without it every reading is followed by a pass: one machine's pools are looked at by a person. */
  readonly pulse?: () => Pulse | undefined;
}

export interface PoolEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** The world around a pool: the API server, or the state folder of one machine. */
export interface PoolHost {
  /** The newest known version; undefined once the pool is gone. */
  get(ref: PoolRef): PoolObject | undefined;
  /**
   * Makes what must stand beside the workers. `links` is undefined while the pool's Redis is not known; `findings` says what is wrong outside
   * the document. The same links are given again until they change.
   */
  prepare(pool: PoolObject): Promise<{ links: PoolLinks | undefined; findings: readonly Finding[] }>;
  /** Keeps the document under its revision for workers that are made later, and drops revisions that are not in use. */
  keepRevision(pool: PoolObject, revision: string, inUse: ReadonlySet<string>): Promise<void>;
  /** Shows the status, and keeps what the next controller must know; writes only what has changed. */
  report(pool: PoolObject, status: PoolStatus, remember: Remembered): Promise<void>;
  event(pool: PoolObject, event: PoolEvent): void;
  /** A deleted pool has no worker any more. */
  finish(pool: PoolObject): Promise<void>;
  /** The pool is gone: what was opened for it is closed. */
  forget(ref: PoolRef): Promise<void>;
}
