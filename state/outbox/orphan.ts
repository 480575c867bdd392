import type { Clock } from '../../platform/clock.ts';
import { ConversationManager, type ConversationOptions } from '../calls/conversation_manager.ts';
import { SUMMARY_ID } from '../calls/record_ids.ts';
import { PLAIN_HEADER } from '../envelope.ts';
import type { CallStore, LeaseTable, UnsentCall } from '../ports.ts';
import type { ArchivedCall, CallArchive } from './ports.ts';

/** A takeover's fence may have moved on while the lease stood still; asked again this often. */
const CLAIM_ATTEMPTS = 3;

export interface OrphanOptions {
  store: CallStore;
  archive: CallArchive;
  leases: Pick<LeaseTable, 'find' | 'grant' | 'release'>;
  worker: string;
  incarnation: string;
  clock: Clock;
}

export type OrphanOutcome =
  /** The end record stands in the call's outbox (or in the archive): drain it. */
  | { kind: 'finalised' }
  /** Nothing was ever written of this call. */
  | { kind: 'nothing' }
  /** Somebody else has it, or the pool is recovering: look again later. */
  | { kind: 'later' };

/**
 * Ends a call that nobody owns: raises its fence, so that an owner that wakes up cannot write any more, and writes a partial end
 * record from what Redis (or, without it, the archive) has of the call.
 */
export class OrphanFinaliser {
  readonly #options: OrphanOptions;
  readonly #inHand = new Set<string>();

  constructor(options: OrphanOptions) {
    this.#options = options;
  }

  /** True while this process holds the lease only to end the call: its renewal must not treat it as a call to serve. */
  holds(callRef: string): boolean {
    return this.#inHand.has(callRef);
  }

  async finalise(call: UnsentCall & { callConnectionId: string }, archived: ArchivedCall): Promise<OrphanOutcome> {
    this.#inHand.add(call.callRef);
    try {
      return await this.#finalise(call, archived);
    } finally {
      this.#inHand.delete(call.callRef);
    }
  }

  async #finalise(call: UnsentCall & { callConnectionId: string }, archived: ArchivedCall): Promise<OrphanOutcome> {
    const { leases, incarnation } = this.#options;
    let fenceFloor = 0;
    for (let attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
      const fence = await this.#fence(call.callRef, fenceFloor);
      if (fence === undefined) return { kind: 'later' };
      const claim = await ConversationManager.fromRedis(this.#conversation(fence), call.callConnectionId);
      if (claim.kind === 'refused') {
        fenceFloor = claim.storedFence;
        continue;
      }
      const outcome =
        claim.kind === 'loaded' ? await this.#end(claim.manager) : await this.#endFromArchive(call, archived);
      await leases.release({ callRef: call.callRef, fence, incarnation });
      return outcome;
    }
    return { kind: 'later' };
  }

  /** By grant while there is a lease, so that a takeover at the same moment wins or loses as a whole; else above what is stored. */
  async #fence(callRef: string, fenceFloor: number): Promise<number | undefined> {
    const { leases, worker, incarnation } = this.#options;
    const lease = await leases.find(callRef);
    if (!lease) return fenceFloor + 1;
    const grant = await leases.grant({
      callRef,
      seen: { fence: lease.fence, incarnation: lease.incarnation },
      // The call ends at once: it takes no slot.
      taker: { worker, incarnation, hardSlotLimit: Number.MAX_SAFE_INTEGER },
      fenceFloor,
    });
    return grant.kind === 'granted' ? grant.lease.fence : undefined;
  }

  #conversation(fence: number): ConversationOptions {
    const { store, incarnation, clock } = this.#options;
    return { store, owner: { fence, incarnation }, clock };
  }

  async #end(manager: ConversationManager): Promise<OrphanOutcome> {
    const endedAtMs = manager.history.at(-1)?.atMs ?? manager.session.startedAtMs;
    manager.finish({ reason: 'orphaned', endedAtMs, workers: [], partial: true });
    await manager.persist();
    return { kind: 'finalised' };
  }

  /** Redis has no session of it any more: what the archive has is all there is. */
  async #endFromArchive(
    call: UnsentCall & { callConnectionId: string },
    archived: ArchivedCall,
  ): Promise<OrphanOutcome> {
    const [first] = archived.turns;
    const last = archived.turns.at(-1);
    if (!first || !last) return { kind: 'nothing' };
    const { callRef, callConnectionId } = call;
    const body = {
      v: 1,
      callConnectionId,
      callRef,
      startedAtMs: first.atMs,
      endedAtMs: last.atMs,
      reason: 'orphaned',
      turns: last.seq,
      workers: [],
      partial: true,
    };
    const written = await this.#options.archive.write({
      callConnectionId,
      id: SUMMARY_ID,
      kind: 'summary',
      header: PLAIN_HEADER,
      body,
    });
    return written.kind === 'later' ? { kind: 'later' } : { kind: 'finalised' };
  }
}
