import { errorCode } from '../../platform/errors.ts';
import { RECORD_NOT_AUTHENTIC } from '../../security/sealing/errors.ts';
import { plainMembers } from '../../security/sealing/policy.ts';
import type { ArchivedCall, ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import type { CallerKeys } from './caller_keys.ts';
import { type SealingMode, settledHeader, travellingKey } from './codec.ts';
import type { SealingMetrics } from './metrics.ts';

export interface SealingArchiveOptions {
  archive: CallArchive;
  keys: CallerKeys;
  mode: SealingMode;
  metrics: SealingMetrics;
}

/**
 * {@link CallArchive} that sees to it that a sealed record's key stands in the key store and takes it off the record, so that from
 * then on deleting the key erases. Nothing is opened here.
 */
export class SealingArchive implements CallArchive {
  readonly #options: SealingArchiveOptions;

  constructor(options: SealingArchiveOptions) {
    this.#options = options;
  }

  async write(record: ArchiveRecord): Promise<WriteOutcome> {
    const ready = await this.#ready(record);
    return 'header' in ready ? this.#options.archive.write(ready) : ready;
  }

  /** Everything that can go at once does; what has trouble ends or parts the run, so that the order stays. */
  async writeAll(records: readonly ArchiveRecord[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    let run: ArchiveRecord[] = [];
    for (const record of records) {
      const ready = await this.#ready(record);
      if ('header' in ready) {
        run.push(ready);
        continue;
      }
      outcomes.push(...(await this.#writeRun(run)), ready);
      run = [];
      if (outcomes.some(({ kind }) => kind === 'later')) return untilLater(outcomes);
    }
    outcomes.push(...(await this.#writeRun(run)));
    return untilLater(outcomes);
  }

  readCall(callConnectionId: string): Promise<ArchivedCall> {
    return this.#options.archive.readCall(callConnectionId);
  }

  recordIds(callConnectionId: string): Promise<string[]> {
    return this.#options.archive.recordIds(callConnectionId);
  }

  async #writeRun(run: readonly ArchiveRecord[]): Promise<WriteOutcome[]> {
    const { archive } = this.#options;
    if (archive.writeAll) return run.length > 0 ? archive.writeAll(run) : [];
    const outcomes: WriteOutcome[] = [];
    for (const record of run) {
      const outcome = await archive.write(record);
      outcomes.push(outcome);
      if (outcome.kind === 'later') break;
    }
    return outcomes;
  }

  /** The record as the archive may have it, or why it may not. */
  async #ready(record: ArchiveRecord): Promise<ArchiveRecord | WriteOutcome> {
    const { keys, metrics, mode } = this.#options;
    const { header } = record;
    if (header.alg === 'none') {
      // An end record that speaks of nothing but figures has nothing to seal.
      if (mode !== 'On' || plainMembers(record.kind, record.body).length === 0) return record;
      metrics.record('plainRefused');
      return { kind: 'refused', reason: 'members in clear that must be sealed' };
    }
    const travelling = travellingKey(header);
    if (!travelling) return record;
    try {
      if ((await keys.settle(travelling)) === 'stored') return { ...record, header: settledHeader(header) };
      metrics.record('keyErased');
      return { kind: 'refused', reason: 'the key of the caller was erased' };
    } catch (cause) {
      if (errorCode(cause) !== RECORD_NOT_AUTHENTIC.code)
        return { kind: 'later', throttled: false, retryAfterMs: undefined, cause };
      metrics.record('notAuthentic');
      return { kind: 'refused', reason: 'the key that travels with the record is not authentic' };
    }
  }
}

/** Nothing behind a `later` was tried, or it would overtake. */
function untilLater(outcomes: readonly WriteOutcome[]): WriteOutcome[] {
  const at = outcomes.findIndex(({ kind }) => kind === 'later');
  return at === -1 ? [...outcomes] : outcomes.slice(0, at + 1);
}
