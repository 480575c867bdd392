import { poolTag } from '../../contract/ids.ts';
import type { CallEndReason } from '../../contract/reasons.ts';
import { sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';
import type { CallRegistry } from './registry.ts';

const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;

export interface FinishingDeps {
  calls: CallDeps;
  leases: Pick<LeaseTable, 'release' | 'adopt'>;
  registry: CallRegistry;
}

/** Brings an ended call's last state to Redis and Cosmos DB and releases its lease; goes on until both have it. */
export class Finishing {
  readonly #deps: FinishingDeps;

  constructor(deps: FinishingDeps) {
    this.#deps = deps;
  }

  async finish(call: Call, reason: CallEndReason): Promise<void> {
    const { leases, registry } = this.#deps;
    // A call that came and went while Redis was away: its lease is what the archiver and a redelivered ring are told by.
    if (!call.leased) await this.#until(call, 'lease', () => this.#adopt(call));
    if (call.callConnectionId !== undefined) {
      const pool = poolTag(this.#deps.calls.pool);
      call.record.finish(reason, call.turns.count, { pool, ...call.turns.latencies });
      await this.#until(call, 'store', () => call.record.settle());
    }
    const { ref: callRef, fence, incarnation } = call;
    await this.#until(call, 'release', () => leases.release({ callRef, fence, incarnation }));
    await call.record.allArchived();
    registry.forget(call);
  }

  async #adopt(call: Call): Promise<void> {
    const { leases, calls } = this.#deps;
    const lease = {
      callRef: call.ref,
      fence: call.fence,
      callConnectionId: call.callConnectionId,
      ring: call.ring,
      placedAtMs: 0,
    };
    const result = await leases.adopt({ worker: calls.worker, incarnation: call.incarnation, lease });
    if (result.kind === 'adopted') call.fence = result.fence;
  }

  async #until(call: Call, step: string, run: () => Promise<void>): Promise<void> {
    const { clock, random } = this.#deps.calls;
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)) {
      try {
        return await run();
      } catch (error) {
        call.log.warn({ step, code: errorCode(error) }, 'the end of a call is not written yet; trying again');
        await sleep(clock, delayMs * (0.75 + random.fraction() / 2));
      }
    }
  }
}
