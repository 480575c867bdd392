import { type AffinityRecord, RECORD_VERSION } from '../contract/records.ts';
import type { Clock } from '../platform/clock.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import { CONTROLLER_FENCED } from '../state/leases/pool_records.ts';
import type { LeaseTable } from '../state/ports.ts';
import type { RuntimeWorker } from './runtime/ports.ts';

export type AffinityContent = Pick<
  AffinityRecord,
  'worker' | 'state' | 'endpoint' | 'slots' | 'revision' | 'incarnation'
>;

/** Share of a record's life after which it is written again: workers extend it as well, and a spot check finds what was lost. */
const REFRESH_SHARE = 0.4;
/** Redis is asked this often whether it still has what was written. */
const SPOT_CHECK_MS = 10_000;

interface Written {
  readonly state: AffinityRecord['state'];
  /** The content as text, to see a change. */
  readonly text: string;
  /** When the first write of this state was sent. */
  readonly sinceMs: number;
  /** When it was last written; undefined when Redis may have lost it. */
  readonly writtenAtMs: number | undefined;
}

/** What the controller says of each worker of one pool, kept true in Redis. */
export class Affinity {
  readonly #leases: Pick<LeaseTable, 'writeAffinity' | 'affinity'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #fence: number;
  readonly #refreshMs: number;
  readonly #written = new Map<string, Written>();
  #turn = 0;
  #spotCheckedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    leases: Pick<LeaseTable, 'writeAffinity' | 'affinity'>;
    clock: Clock;
    log: Log;
    fence: number;
    /** Time to live of a record in Redis. */
    lifeMs: number;
  }) {
    this.#leases = options.leases;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#fence = options.fence;
    this.#refreshMs = REFRESH_SHARE * options.lifeMs;
  }

  /** Since when the record in Redis has named this state; undefined when it may not. */
  standsSinceMs(worker: string, state: AffinityRecord['state']): number | undefined {
    const written = this.#written.get(worker);
    return written?.state === state && written.writtenAtMs !== undefined ? written.sinceMs : undefined;
  }

  /** Redis may have lost everything: all records are written again. */
  distrust(): void {
    for (const [worker, written] of this.#written) this.#written.set(worker, { ...written, writtenAtMs: undefined });
  }

  /** What stands in Redis of each serving worker is what was decided, also after Redis was emptied. Throws only ERR_CONTROLLER_FENCED. */
  async publish(workers: readonly RuntimeWorker[], slots: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#spotCheckedAtMs >= SPOT_CHECK_MS) {
      this.#spotCheckedAtMs = nowMs;
      await this.spotCheck();
    }
    const serving = workers.filter(({ presence }) => presence === 'serving');
    await Promise.all(
      serving.map(({ id, admission, stopping, endpoint, revision }) => {
        if (endpoint === undefined) return true;
        // Somebody else asked it to end: it drains by itself, and nothing more may be placed on it.
        const state = stopping && admission === 'admitting' ? 'draining' : admission;
        return this.assert({ worker: id, state, endpoint, slots, revision });
      }),
    );
  }

  /** Reads one record back, another each time: one that is missing means that Redis has lost data, and all are written again. */
  async spotCheck(): Promise<void> {
    const standing = [...this.#written]
      .filter(([, written]) => written.writtenAtMs !== undefined)
      .map(([worker]) => worker);
    const worker = standing[this.#turn++ % Math.max(1, standing.length)];
    if (worker === undefined) return;
    try {
      if ((await this.#leases.affinity(worker)) !== undefined) return;
      this.#log.warn({ worker }, 'an affinity record is missing in Redis; all are written again');
      this.distrust();
    } catch (error) {
      this.#log.debug({ worker, code: errorCode(error) }, 'an affinity record could not be read');
    }
  }

  forget(worker: string): void {
    this.#written.delete(worker);
  }

  /** Writes what has changed or is due; true when the record stands. Throws only ERR_CONTROLLER_FENCED. */
  async assert(content: AffinityContent): Promise<boolean> {
    const text = JSON.stringify(content);
    const nowMs = this.#clock.monotonicMs();
    const last = this.#written.get(content.worker);
    const stands = last?.text === text && last.writtenAtMs !== undefined;
    if (stands && nowMs - (last.writtenAtMs ?? 0) < this.#refreshMs) return true;
    try {
      const outcome = await this.#leases.writeAffinity({ v: RECORD_VERSION, ...content, controllerFence: this.#fence });
      if (outcome === 'fenced') throw CONTROLLER_FENCED.with(`fence ${this.#fence}`);
    } catch (error) {
      if (errorCode(error) === 'ERR_CONTROLLER_FENCED') throw error;
      this.#log.debug(
        { worker: content.worker, code: errorCode(error) },
        'an affinity record could not be written; trying again',
      );
      return false;
    }
    const sinceMs = last?.state === content.state && last.writtenAtMs !== undefined ? last.sinceMs : nowMs;
    this.#written.set(content.worker, { state: content.state, text, sinceMs, writtenAtMs: nowMs });
    return true;
  }
}
