import { request } from 'undici';
import type { Lease } from '../../contract/records.ts';
import { INTERNAL } from '../../contract/urls.ts';
import { sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable } from '../../state/ports.ts';
import { Call } from './call.ts';
import type { CallDeps } from './deps.ts';
import type { CallRegistry } from './registry.ts';

/** A callback is parked for its owner while that owner's last heartbeat is younger than this. */
export const FRESH_HEARTBEAT_MS = 3_000;
const PROBES = 3;
const PROBE_TIMEOUT_MS = 300;
const PROBE_PAUSE_MS = 50;
/** `claim` can be refused by a fence from before Redis lost the lease; asking `grant` again with it as floor ends this. */
const MAX_CLAIMS = 4;

export type TakeoverCause = 'mediaUpgrade' | 'callback' | 'noHeartbeat' | 'restart' | 'drain';

export interface TakeoverDeps {
  calls: CallDeps;
  leases: Pick<LeaseTable, 'grant' | 'affinity' | 'heartbeatAgeMs' | 'park'>;
  registry: CallRegistry;
  /** Starts the answer of a call that was taken over while it rang. */
  answer(call: Call): void;
  /** The archive follows the call here from now on. */
  track(call: Call, callConnectionId: string): void;
}

/** Makes this worker the owner of a call whose owner is gone: `grant` in the pool's slot, then `claim` in the call's. */
export class Takeovers {
  readonly #deps: TakeoverDeps;
  readonly #running = new Map<string, Promise<'here' | 'elsewhere' | 'refused'>>();

  constructor(deps: TakeoverDeps) {
    this.#deps = deps;
  }

  /** The owner gave no application answer in time: media moves at once, a callback only when the owner looks dead. */
  async passive(
    lease: Lease,
    cause: { kind: 'mediaUpgrade' } | { kind: 'callback'; body: string },
  ): Promise<'here' | 'elsewhere' | 'parked' | 'refused'> {
    if (cause.kind === 'callback') {
      const ageMs = await this.#deps.leases.heartbeatAgeMs(lease.worker);
      if (ageMs !== undefined && ageMs < FRESH_HEARTBEAT_MS) {
        await this.#deps.leases.park(lease.worker, lease.callRef, cause.body);
        return 'parked';
      }
    }
    return this.take(lease, cause.kind);
  }

  /** No heartbeat for five seconds is one witness; the second is the controller's `gone`, or three failed probes of ours. */
  async active(lease: Lease): Promise<void> {
    if (this.#running.has(lease.callRef) || !(await this.#secondWitness(lease))) return;
    const result = await this.take(lease, 'noHeartbeat');
    if (result === 'here') this.#deps.registry.get(lease.callRef)?.askForMedia();
  }

  /** One takeover of a call at a time; whoever asks meanwhile gets the same result. */
  take(lease: Lease, cause: TakeoverCause): Promise<'here' | 'elsewhere' | 'refused'> {
    const running = this.#running.get(lease.callRef);
    if (running) return running;
    const work = this.#take(lease, cause)
      .catch((error: unknown): 'refused' => {
        this.#deps.calls.log.warn({ callRef: lease.callRef, cause, code: errorCode(error) }, 'a takeover failed');
        return 'refused';
      })
      .then((result) => {
        this.#running.delete(lease.callRef);
        this.#deps.calls.metrics.takeovers.inc({ cause, result });
        return result;
      });
    this.#running.set(lease.callRef, work);
    return work;
  }

  async #take(seen: Lease, cause: TakeoverCause): Promise<'here' | 'elsewhere' | 'refused'> {
    const { calls, leases, registry } = this.#deps;
    const taker = {
      worker: calls.worker,
      incarnation: calls.incarnation,
      hardSlotLimit: calls.spec.worker.hardSlotLimit,
    };
    let lease = seen;
    let fenceFloor: number | undefined;
    for (let tries = 0; tries < MAX_CLAIMS; tries++) {
      const granted = await leases.grant({
        callRef: lease.callRef,
        seen: { fence: lease.fence, incarnation: lease.incarnation },
        taker,
        ...(fenceFloor === undefined ? {} : { fenceFloor }),
      });
      if (granted.kind === 'moved') return 'elsewhere';
      if (granted.kind !== 'granted') return 'refused';
      lease = granted.lease;
      const call = new Call(calls, lease, { leased: true, takenOver: true });
      const claimed = await this.#claim(call, lease);
      if (typeof claimed === 'object') {
        call.superseded();
        fenceFloor = claimed.storedFence;
        continue;
      }
      registry.add(call);
      call.log.info({ cause, fence: lease.fence, state: lease.state, stored: claimed }, 'call taken over');
      if (claimed === 'ringing') this.#deps.answer(call);
      call.resumed();
      if (call.callConnectionId !== undefined) this.#deps.track(call, call.callConnectionId);
      return 'here';
    }
    return 'refused';
  }

  /** A call that rings has no id and so nothing stored. */
  async #claim(call: Call, lease: Lease): Promise<'ringing' | 'loaded' | 'empty' | { storedFence: number }> {
    if (lease.callConnectionId === undefined) return 'ringing';
    return call.record.load(lease.callConnectionId);
  }

  async #secondWitness(lease: Lease): Promise<boolean> {
    const affinity = await this.#deps.leases.affinity(lease.worker);
    if (affinity?.state === 'gone' && affinity.incarnation === lease.incarnation) return true;
    if (!affinity) return true;
    for (let probe = 0; probe < PROBES; probe++) {
      if (await this.#answers(affinity.endpoint)) return false;
      await sleep(this.#deps.calls.clock, PROBE_PAUSE_MS);
    }
    return true;
  }

  async #answers(endpoint: string): Promise<boolean> {
    try {
      const response = await request(`${endpoint}${INTERNAL.livez}`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      await response.body.dump();
      return true;
    } catch {
      // Refused, reset or silent: that is the finding.
      return false;
    }
  }
}
