import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { LeaseTable } from '../ports.ts';
import { Backoff } from './backoff.ts';
import { CallDrain, type DrainListener } from './call_drain.ts';
import type { ForeignSweep } from './foreign_sweep.ts';
import type { ArchiveMetrics, PendingSource } from './metrics.ts';
import { PendingRecords } from './pending_records.ts';
import type { CallArchive } from './ports.ts';
import type { OutboxStream } from './stream.ts';

export interface ArchiverOptions {
  stream: OutboxStream;
  archive: CallArchive;
  unsent: Pick<LeaseTable, 'markSent'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: ArchiveMetrics;
  listener?: Partial<DrainListener> & {
    /** Redis has lost these before they were archived: the owner must write everything again (`persist({ full: true })`). */
    onMissing?(callConnectionId: string, ids: readonly string[]): void;
    /** The end record is archived and the stream is gone. */
    onFinished?(callConnectionId: string): void;
  };
  /** Streams that are drained at the same time. */
  maxInFlight?: number;
  /** How often calls with pending records are tried again without a nudge, and foreign streams are looked for. */
  sweepMs?: number;
}

interface TrackedCall {
  callRef: string;
  /** The end record is archived. */
  ended: boolean;
}

/**
 * Moves this worker's outbox streams to the archive, promptly after each checkpoint, and (through {@link ForeignSweep}) those whose
 * worker is gone. Trouble with a store pauses all of it: records wait in Redis, and memory keeps its copy until `onArchived`.
 */
export class Archiver implements PendingSource {
  readonly #options: ArchiverOptions;
  readonly #drain: CallDrain;
  readonly #listener: DrainListener;
  readonly #backoff: Backoff;
  readonly #pending: PendingRecords;
  readonly #calls = new Map<string, TrackedCall>();
  /** Calls to drain next; at most the tracked ones. */
  readonly #due = new Set<string>();
  readonly #active = new Map<string, Promise<void>>();
  #timer: Timer | undefined;
  #foreign: ForeignSweep | undefined;
  /** The pass over other workers' streams that is under way. */
  #pass: Promise<void> | undefined;
  /** Stores were away at the last try: said once, not with every try. */
  #troubled = false;
  #pause: Timer | undefined;
  #stopped = false;

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#pending = new PendingRecords(options.clock);
    const { stream, archive, metrics, clock, log } = options;
    this.#listener = {
      onArchived: (id, ids) => {
        this.#pending.remove(id, ids);
        options.listener?.onArchived?.(id, ids);
      },
      onQuarantined: (id, ids) => {
        this.#pending.remove(id, ids);
        options.listener?.onQuarantined?.(id, ids);
      },
    };
    this.#drain = new CallDrain({ stream, archive, metrics, clock, log, listener: this.#listener });
    metrics.watch(this);
  }

  /** Records of this worker's calls that stand in the outbox. */
  get pending(): number {
    return this.#pending.count;
  }

  get oldestPendingSeconds(): number {
    return this.#pending.oldestSeconds;
  }

  get drain(): CallDrain {
    return this.#drain;
  }

  tracks(callConnectionId: string): boolean {
    return this.#calls.has(callConnectionId);
  }

  /** This worker owns the call; `pendingIds` when it was taken over with records in its stream. */
  track(call: { callConnectionId: string; callRef: string; pendingIds?: readonly string[] }): void {
    this.#calls.set(call.callConnectionId, { callRef: call.callRef, ended: false });
    if (call.pendingIds?.length) this.nudge(call.callConnectionId, call.pendingIds);
  }

  /** Another worker owns the call now: its records are that worker's to archive. */
  untrack(callConnectionId: string): void {
    this.#calls.delete(callConnectionId);
    this.#due.delete(callConnectionId);
    this.#pending.forget(callConnectionId);
  }

  /** A checkpoint put these ids into the call's stream. */
  nudge(callConnectionId: string, ids: readonly string[]): void {
    this.#pending.add(callConnectionId, ids);
    this.#due.add(callConnectionId);
    this.#pump();
  }

  start(foreign?: ForeignSweep): void {
    this.#foreign = foreign;
    this.#timer = this.#options.clock.every(this.#options.sweepMs ?? 5_000, () => this.#sweep());
  }

  /** Takes nothing new and waits for the writes in flight. What is left stays in Redis. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#pause?.cancel();
    this.#foreign?.stop();
    await Promise.all([...this.#active.values(), this.#pass]);
  }

  #sweep(): void {
    for (const id of this.#pending.calls()) this.#due.add(id);
    for (const [id, { ended }] of this.#calls) if (ended) this.#due.add(id);
    this.#pump();
    // One pass at a time, however long it takes.
    if (!this.#foreign || this.#pass || this.#pause) return;
    this.#pass = this.#foreign
      .run()
      .then(() => this.#fine())
      .catch((error) => this.#wait(undefined, error))
      .finally(() => {
        this.#pass = undefined;
      });
  }

  #pump(): void {
    const limit = this.#options.maxInFlight ?? 16;
    for (const id of this.#due) {
      if (this.#stopped || this.#pause || this.#active.size >= limit) return;
      // A call that is being drained comes again afterwards, so that its order is kept.
      if (this.#active.has(id)) continue;
      this.#due.delete(id);
      const work = this.#archive(id).finally(() => {
        this.#active.delete(id);
        this.#pump();
      });
      this.#active.set(id, work);
    }
  }

  async #archive(id: string): Promise<void> {
    const expected = this.#pending.ids(id);
    try {
      const outcome = await this.#drain.run(id);
      if (outcome.kind === 'later') return this.#wait(id, outcome.cause, outcome.retryAfterMs);
      this.#fine();
      if (outcome.kind === 'held') return;
      await this.#reconcile(id, expected);
      const call = this.#calls.get(id);
      if (!call) return;
      call.ended ||= outcome.ended;
      if (call.ended) await this.#finish(id, call);
    } catch (error) {
      this.#wait(id, error);
    }
  }

  /**
   * What stood in the stream and is not there any more, though this archiver did not take it: another one did while this worker
   * seemed dead, or Redis has lost it. The ids that were ever appended tell which.
   */
  async #reconcile(id: string, expected: readonly string[]): Promise<void> {
    const pending = new Set(this.#pending.ids(id));
    const unexplained = expected.filter((each) => pending.has(each));
    if (unexplained.length === 0) return;
    const quarantined = new Set((await this.#options.stream.quarantined(id)).map((each) => each.id));
    const appended = await this.#options.stream.everAppended(id);
    const told = (ids: string[], tell: (id: string, ids: string[]) => void) => ids.length > 0 && tell(id, ids);
    told(
      unexplained.filter((each) => quarantined.has(each)),
      this.#listener.onQuarantined,
    );
    told(
      unexplained.filter((each) => !quarantined.has(each) && appended.has(each)),
      this.#listener.onArchived,
    );
    told(
      unexplained.filter((each) => !quarantined.has(each) && !appended.has(each)),
      (call, ids) => this.#options.listener?.onMissing?.(call, ids),
    );
  }

  async #finish(id: string, call: TrackedCall): Promise<void> {
    if (!(await this.#options.stream.finish(id))) {
      this.#due.add(id);
      return;
    }
    await this.#options.unsent.markSent(call.callRef);
    this.#calls.delete(id);
    this.#options.listener?.onFinished?.(id);
  }

  #fine(): void {
    this.#backoff.reset();
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#options.log.info({ pending: this.pending }, 'archiving goes on');
  }

  #wait(id: string | undefined, cause: unknown, retryAfterMs?: number): void {
    if (id !== undefined && (this.#pending.has(id) || this.#calls.has(id))) this.#due.add(id);
    if (!this.#troubled)
      this.#options.log.warn(
        { reason: cause instanceof RtvoiceError ? cause.message : errorCode(cause), pending: this.pending },
        'archiving waits: a store takes or gives nothing now',
      );
    this.#troubled = true;
    if (this.#pause || this.#stopped) return;
    this.#pause = this.#options.clock.after(this.#backoff.next(retryAfterMs), () => {
      this.#pause = undefined;
      this.#pump();
    });
  }
}
