import type { Clock } from '../../platform/clock.ts';
import { defineError, errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { LeaseTable, UnsentCall } from '../ports.ts';
import { lostTurns } from './accounting.ts';
import type { CallDrain } from './call_drain.ts';
import type { ArchiveMetrics } from './metrics.ts';
import type { OrphanFinaliser } from './orphan.ts';
import type { ArchivedCall, CallArchive } from './ports.ts';
import type { OutboxStream } from './stream.ts';

export interface ForeignSweepOptions {
  drain: CallDrain;
  stream: OutboxStream;
  archive: CallArchive;
  orphans: OrphanFinaliser;
  unsent: Pick<LeaseTable, 'unsent' | 'markSent' | 'claimDrain'>;
  /** Calls of this worker: drained by the archiver itself. */
  tracks: (callConnectionId: string) => boolean;
  worker: string;
  incarnation: string;
  clock: Clock;
  log: Log;
  metrics: ArchiveMetrics;
  /** A call whose owner gives no sign of life for so long is ended. Takeover has its own, much shorter times. */
  orphanAfterMs?: number;
  /** Calls looked at in one sweep. */
  limit?: number;
}

export const ARCHIVE_AWAY = defineError('ERR_ARCHIVE_AWAY', {
  status: 503,
  message: 'the archive takes no records now',
  remedy: 'Records wait in the outbox, up to seven days. Look at the cause, at Cosmos DB and at its throughput.',
});

const CLAIM_MS = 30_000;
const LIMIT = 100;
const MAX_OWNERLESS = 10_000;

/** Drains the streams of workers that are gone, and ends the calls that nobody took over. */
export class ForeignSweep {
  readonly #options: ForeignSweepOptions;
  /** Call ref -> since when (monotonic) its owner has been seen dead here. */
  readonly #ownerless = new Map<string, number>();
  #offset = 0;
  #stopped = false;

  constructor(options: ForeignSweepOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * One pass over a window of the unsent calls; the next pass goes on where this one ended. Rejects when a store is away
   * (ERR_REDIS_…, ERR_COSMOS_…): no other call would fare better.
   */
  async run(): Promise<void> {
    const limit = this.#options.limit ?? LIMIT;
    const calls = await this.#options.unsent.unsent(limit, this.#offset);
    let left = 0;
    for (const call of calls) {
      if (this.#stopped) return;
      if (!(await this.#look(call))) left += 1;
    }
    // What is marked as sent leaves the index, so only what stays moves the window.
    this.#offset = calls.length < limit ? 0 : this.#offset + left;
  }

  /** True when the call has left the index. */
  async #look(call: UnsentCall): Promise<boolean> {
    if (!this.#isForeign(call)) {
      this.#ownerless.delete(call.callRef);
      return false;
    }
    const sinceMs = this.#ownerless.get(call.callRef) ?? this.#options.clock.monotonicMs();
    this.#ownerless.set(call.callRef, sinceMs);
    const [oldest] = this.#ownerless.keys();
    // A call that is dropped here only waits anew; the index has it.
    if (this.#ownerless.size > MAX_OWNERLESS && oldest !== undefined) this.#ownerless.delete(oldest);
    const sent = await this.#one(call, sinceMs);
    if (sent) this.#ownerless.delete(call.callRef);
    return sent;
  }

  #isForeign({ owner, callConnectionId }: UnsentCall): boolean {
    if (callConnectionId !== undefined && this.#options.tracks(callConnectionId)) return false;
    return !owner?.live;
  }

  /** True when the call has nothing left to send. */
  async #one(call: UnsentCall, deadSinceMs: number): Promise<boolean> {
    const { unsent, worker, incarnation, log } = this.#options;
    try {
      const claim = await unsent.claimDrain(call.callRef, worker, incarnation, CLAIM_MS);
      if (claim.kind !== 'claimed') return false;
      const { callConnectionId } = call;
      // Never answered and without a lease: nothing was ever written.
      const sent =
        callConnectionId === undefined
          ? call.owner === undefined
          : await this.#drain({ ...call, callConnectionId }, deadSinceMs);
      if (sent) await unsent.markSent(call.callRef);
      return sent;
    } catch (error) {
      // Records that this release cannot read are this call's trouble alone; anything else is the stores'.
      if (!errorCode(error).startsWith('ERR_RECORD_')) throw error;
      log.warn(
        { callRef: call.callRef, code: errorCode(error) },
        'a call of a gone worker cannot be read; left for another release',
      );
      return false;
    }
  }

  async #drain(call: UnsentCall & { callConnectionId: string }, deadSinceMs: number): Promise<boolean> {
    const { stream, archive, orphans, clock, log, orphanAfterMs = 10 * 60_000 } = this.#options;
    const id = call.callConnectionId;
    if (!(await this.#emptied(id))) return false;
    let archived = await archive.readCall(id);
    if (!archived.summary) {
      if (call.owner !== undefined && clock.monotonicMs() - deadSinceMs < orphanAfterMs) return false;
      const outcome = await orphans.finalise(call, archived);
      if (outcome.kind === 'later') return false;
      log.warn({ callRef: call.callRef, outcome: outcome.kind }, 'a call without an owner was ended');
      if (!(await this.#emptied(id))) return false;
      archived = await archive.readCall(id);
    }
    if (!(await stream.finish(id))) return false;
    await this.#account(id, archived);
    return true;
  }

  /** False when an entry of a newer release holds the stream up. */
  async #emptied(callConnectionId: string): Promise<boolean> {
    const outcome = await this.#options.drain.run(callConnectionId);
    if (outcome.kind === 'later') throw ARCHIVE_AWAY.with(undefined, outcome.cause);
    return outcome.kind === 'empty';
  }

  async #account(id: string, { turns, summary }: ArchivedCall): Promise<void> {
    const quarantined = (await this.#options.stream.quarantined(id)).map((each) => each.id);
    const accepted = typeof summary?.turns === 'number' ? summary.turns : 0;
    const lost = lostTurns({ turns: accepted, archived: turns.map((turn) => turn.id), pending: [], quarantined });
    if (lost.length === 0) return;
    this.#options.metrics.lost(lost.length);
    this.#options.log.error(
      { callConnectionId: id, ids: lost.slice(0, 20), count: lost.length },
      'accepted turns are in no store any more',
    );
  }
}
