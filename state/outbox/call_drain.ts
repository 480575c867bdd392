import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { outboxFields, type StreamItem } from '../calls/stored_records.ts';
import { parseEnvelope, RECORD_VERSION_UNKNOWN } from '../envelope.ts';
import type { ArchiveMetrics } from './metrics.ts';
import type { ArchiveRecord, CallArchive, WriteOutcome } from './ports.ts';
import type { OutboxStream } from './stream.ts';

export type DrainOutcome =
  /** Everything in the stream is archived or quarantined. `ended`: the end record was among it. */
  | { kind: 'empty'; ended: boolean }
  /** The archive takes nothing now; the rest stays in the stream. */
  | { kind: 'later'; retryAfterMs: number | undefined; cause: unknown }
  /** An entry of a newer release: only a worker of that release may take it. */
  | { kind: 'held' };

export interface DrainListener {
  /** Cosmos DB has confirmed these ids: memory may let them go. */
  onArchived(callConnectionId: string, ids: readonly string[]): void;
  /** These are refused for good and stand in the call's quarantine. Memory keeps its copy (`ConversationManager.quarantined`): an emptied Redis needs it again. */
  onQuarantined(callConnectionId: string, ids: readonly string[]): void;
}

export interface CallDrainOptions {
  stream: OutboxStream;
  archive: CallArchive;
  metrics: ArchiveMetrics;
  clock: Clock;
  log: Log;
  listener: DrainListener;
}

const BATCH = 64;

type Verdict =
  | { kind: 'done' }
  | { kind: 'quarantine'; reason: string }
  | { kind: 'held' }
  | (WriteOutcome & { kind: 'later' });

/** Moves one call's outbox to the archive, in order. Any part may be repeated: entries have fixed ids. */
export class CallDrain {
  readonly #options: CallDrainOptions;

  constructor(options: CallDrainOptions) {
    this.#options = options;
  }

  /** Rejects with ERR_REDIS_… when the stream cannot be read or cut; what was archived until then is told all the same. */
  async run(callConnectionId: string): Promise<DrainOutcome> {
    let ended = false;
    for (;;) {
      const items = await this.#options.stream.read(callConnectionId, BATCH);
      if (items.length === 0) return { kind: 'empty', ended };
      const { stopped, summary } = await this.#batch(callConnectionId, items);
      ended ||= summary;
      if (stopped) return stopped;
    }
  }

  async #batch(
    callConnectionId: string,
    items: readonly StreamItem[],
  ): Promise<{ stopped: DrainOutcome | undefined; summary: boolean }> {
    const done: { streamId: string; id: string }[] = [];
    let stopped: DrainOutcome | undefined;
    let summary = false;
    for await (const { item, record, verdict } of this.#verdicts(callConnectionId, items)) {
      if (verdict.kind === 'later')
        stopped = { kind: 'later', retryAfterMs: verdict.retryAfterMs, cause: verdict.cause };
      else if (verdict.kind === 'held') stopped = { kind: 'held' };
      else if (verdict.kind === 'quarantine') await this.#quarantine(callConnectionId, item, verdict.reason);
      else if (record) done.push({ streamId: item[0], id: record.id });
      // A quarantined end record ends the call too: nothing more will come.
      summary ||= stopped === undefined && record?.kind === 'summary';
      if (stopped) break;
    }
    // Told before the stream is cut: should the cut fail, the entries are written again and found there.
    if (done.length > 0)
      this.#options.listener.onArchived(
        callConnectionId,
        done.map(({ id }) => id),
      );
    await this.#options.stream.remove(
      callConnectionId,
      done.map(({ streamId }) => streamId),
    );
    return { stopped, summary };
  }

  /** Each entry with what became of it, in order; what can be read goes to the archive together with its neighbours. */
  async *#verdicts(
    callConnectionId: string,
    items: readonly StreamItem[],
  ): AsyncGenerator<{ item: StreamItem; record: ArchiveRecord | undefined; verdict: Verdict }> {
    let run: { item: StreamItem; record: ArchiveRecord }[] = [];
    for (const item of items) {
      const parsed = this.#parse(callConnectionId, item);
      if (!('verdict' in parsed)) {
        run.push({ item, record: parsed });
        continue;
      }
      yield* this.#written(run);
      run = [];
      yield { item, record: undefined, verdict: parsed.verdict };
    }
    yield* this.#written(run);
  }

  async *#written(run: readonly { item: StreamItem; record: ArchiveRecord }[]) {
    const records = run.map(({ record }) => record);
    const { archive, clock } = this.#options;
    if (!archive.writeAll) {
      for (const { item, record } of run) {
        const startMs = clock.monotonicMs();
        const outcome = await archive.write(record);
        yield { item, record, verdict: this.#verdict(record, outcome, clock.monotonicMs() - startMs) };
      }
      return;
    }
    if (run.length === 0) return;
    const startMs = clock.monotonicMs();
    const outcomes = await archive.writeAll(records);
    const durationMs = clock.monotonicMs() - startMs;
    for (const [at, { item, record }] of run.entries()) {
      // What was not tried stays in the stream.
      const outcome = outcomes[at] ?? { kind: 'later', throttled: false, retryAfterMs: undefined, cause: undefined };
      yield { item, record, verdict: this.#verdict(record, outcome, durationMs) };
    }
  }

  #parse(callConnectionId: string, item: StreamItem): ArchiveRecord | { verdict: Verdict } {
    try {
      const { entryId, kind, record } = outboxFields(callConnectionId, item);
      const { header, body } = parseEnvelope({ kind, id: `${callConnectionId}/${entryId}` }, record);
      return { callConnectionId, id: entryId, kind, header, body };
    } catch (error) {
      if (errorCode(error) === RECORD_VERSION_UNKNOWN.code) return { verdict: { kind: 'held' } };
      return { verdict: { kind: 'quarantine', reason: errorCode(error) } };
    }
  }

  #verdict(record: ArchiveRecord, outcome: WriteOutcome, durationMs: number): Verdict {
    const { log, metrics } = this.#options;
    switch (outcome.kind) {
      case 'refused':
        return { kind: 'quarantine', reason: outcome.reason };
      case 'later':
        metrics.retry(outcome.throttled);
        return outcome;
      case 'keptBeside':
        log.warn(
          { callConnectionId: record.callConnectionId, id: record.id },
          'another record stood under this id; both are kept',
        );
    }
    metrics.written(durationMs / 1000);
    return { kind: 'done' };
  }

  async #quarantine(callConnectionId: string, item: StreamItem, reason: string): Promise<void> {
    const { listener, log, metrics, stream } = this.#options;
    await stream.quarantine(callConnectionId, item, reason);
    metrics.quarantined();
    log.error(
      { callConnectionId, streamId: item[0], reason },
      'a record was quarantined: the archive will never take it',
    );
    const fields = item[1];
    const id = fields[fields.indexOf('id') + 1];
    if (id !== undefined) listener.onQuarantined(callConnectionId, [id]);
  }
}
