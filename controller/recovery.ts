import { poolTag } from '../contract/ids.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { LeaseTable } from '../state/ports.ts';
import type { Affinity } from './affinity.ts';
import { callsOf, type PoolView } from './pool/view.ts';

/**
 * Whether every worker the controller knows has written its leases again after an outage of Redis: its heartbeat is back, and its
 * leases are no fewer than the calls it says it has. A pool without a serving worker has nothing to re-assert.
 */
export async function allReasserted(view: PoolView, leases: Pick<LeaseTable, 'heartbeats'>): Promise<boolean> {
  const serving = view.workers.filter((worker) => worker.presence === 'serving');
  if (serving.length === 0) return true;
  const beats = new Map((await leases.heartbeats()).map((beat) => [beat.worker, beat]));
  return serving.every((worker) => {
    const beat = beats.get(worker.id);
    if (!beat || beat.incarnation !== worker.incarnation || worker.leases === undefined) return false;
    return worker.leases >= Math.max(beat.activeCalls, callsOf(worker) ?? 0);
  });
}

/** After an outage of Redis everything is said again, and calls are placed as soon as every owner has re-asserted. */
export class Recovery {
  readonly #log: Log;
  readonly #fence: number;
  #wasRecovering = false;

  /** `fence`: of this controller's term. */
  constructor({ log, fence }: { readonly log: Log; readonly fence: number }) {
    this.#log = log;
    this.#fence = fence;
  }

  /** Throws only ERR_CONTROLLER_FENCED. */
  async step(
    view: PoolView,
    leases: Pick<LeaseTable, 'heartbeats' | 'confirmRecovery'>,
    affinity: Pick<Affinity, 'distrust'> | undefined,
  ): Promise<void> {
    const recovering = view.redis.state === 'recovering';
    if (recovering && !this.#wasRecovering) {
      this.#log.warn({ pool: poolTag(view.ref) }, 'the pool is recovering: owners re-assert their leases');
    }
    this.#wasRecovering = recovering;
    if (!view.epochMissing) return;
    affinity?.distrust();
    try {
      if (await allReasserted(view, leases)) await leases.confirmRecovery(this.#fence);
    } catch (error) {
      if (errorCode(error) === 'ERR_CONTROLLER_FENCED') throw error;
      this.#log.debug({ code: errorCode(error) }, 'the recovery could not be confirmed; the next pass tries again');
    }
  }
}
