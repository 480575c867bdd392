import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { SPOOL_FAILED, SPOOL_FULL } from './errors.ts';
import { encodeFrame, recordId, type SpoolRecord } from './frames.ts';
import type { SpoolMetrics } from './metrics.ts';
import { Segment } from './segment.ts';

export interface SpoolOptions {
  /** A folder of this process alone; made when the first record comes. */
  directory: string;
  maxBytes: number;
  log: Log;
  metrics: SpoolMetrics;
  segmentBytes?: number;
}

interface Waiting {
  record: SpoolRecord;
  bytes: Buffer;
  /** Redis took it while it was on its way to the disk. */
  settled: boolean;
  kept: PromiseWithResolvers<void>;
}

const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Above this share of its bound new calls are refused, so that those under way find room to their end. */
const ADMISSION_SHARE = 0.75;

/**
 * Records on this machine's disk while Redis is away. A record counts as kept once its bytes are synced; many that come together
 * share one sync, and nothing of it runs on the event loop. Bounded: beyond `maxBytes`, or with a full disk, `keep` fails
 * with ERR_SPOOL_FULL and the caller goes on from memory.
 */
export class Spool {
  readonly #options: SpoolOptions;
  /** Segment of each record that Redis does not have yet. */
  readonly #open = new Map<string, Segment>();
  readonly #segments: Segment[] = [];
  #waiting: Waiting[] = [];
  /** Records on their way to the disk. */
  readonly #coming = new Map<string, Waiting>();
  #done: Buffer[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #number = 0;
  #refused = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    options.metrics.watch(this);
  }

  /** Records that are kept here and nowhere else durable. */
  get records(): number {
    return this.#open.size;
  }

  get bytes(): number {
    // A part that nothing needs any more is about to go.
    const needed = this.#segments.filter((segment) => segment.open > 0);
    return needed.reduce((sum, segment) => sum + segment.bytes, 0) + this.#waitingBytes;
  }

  /** False while the room is needed for calls that are under way. */
  get admits(): boolean {
    return !this.#refused && this.bytes < ADMISSION_SHARE * this.#options.maxBytes;
  }

  has(record: Pick<SpoolRecord, 'callConnectionId' | 'entryId'>): boolean {
    return this.#open.has(recordId(record));
  }

  /** Resolves once every record is on the disk. Rejects with ERR_SPOOL_FULL or ERR_SPOOL_FAILED; those that were synced stay kept. */
  async keep(records: readonly SpoolRecord[]): Promise<void> {
    const results = await Promise.allSettled(records.map((record) => this.#enqueue(record)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Redis has these: their segments go once nothing else in them is needed. */
  settle(callConnectionId: string, entryIds: readonly string[]): void {
    const known: string[] = [];
    for (const entryId of entryIds) {
      const id = recordId({ callConnectionId, entryId });
      const coming = this.#coming.get(id);
      if (coming) coming.settled = true;
      if (this.#release(id)) known.push(entryId);
    }
    if (known.length > 0) this.#note(callConnectionId, known);
  }

  /** What is kept stays on the disk for the next process; an empty folder goes. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing;
    this.#options.metrics.unwatch(this);
    for (const segment of this.#segments) await segment.close();
    if (this.#open.size === 0) await rm(this.#options.directory, { recursive: true, force: true });
  }

  #enqueue(record: SpoolRecord): Promise<void> {
    const id = recordId(record);
    const coming = this.#coming.get(id);
    if (coming) return coming.kept.promise;
    if (this.#open.has(id)) return Promise.resolve();
    const bytes = encodeFrame({ put: record });
    if (this.bytes + bytes.length > this.#options.maxBytes) {
      this.#refuse('bound');
      return Promise.reject(SPOOL_FULL.with(`${this.#options.maxBytes} bytes`));
    }
    const waiting = { record, bytes, settled: false, kept: Promise.withResolvers<void>() };
    this.#waitingBytes += bytes.length;
    this.#waiting.push(waiting);
    this.#coming.set(id, waiting);
    this.#write();
    return waiting.kept.promise;
  }

  #release(id: string): boolean {
    const segment = this.#open.get(id);
    if (!segment) return false;
    segment.open -= 1;
    return this.#open.delete(id);
  }

  /** What is done needs no sync: brought again, it is recognised. */
  #note(callConnectionId: string, entryIds: readonly string[]): void {
    this.#done.push(encodeFrame({ done: { callConnectionId, entryIds } }));
    this.#write();
  }

  #write(): void {
    if (this.#writing) return;
    this.#writing = this.#drain().finally(() => {
      this.#writing = undefined;
      // Something came between the last look and now.
      if (this.#waiting.length > 0) this.#write();
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0 || this.#done.length > 0) {
      const waiting = this.#waiting.splice(0);
      const done = this.#done.splice(0);
      try {
        if (waiting.length > 0) await this.#put(waiting, done);
        else await this.#segments.at(-1)?.append(Buffer.concat(done), { sync: false });
        for (const { kept } of waiting) kept.resolve();
      } catch (cause) {
        this.#failed(waiting, spoolError(cause));
      } finally {
        for (const { bytes, record } of waiting) {
          this.#waitingBytes -= bytes.length;
          this.#coming.delete(recordId(record));
        }
      }
      await this.#forgetEmpty();
    }
  }

  async #put(waiting: readonly Waiting[], done: readonly Buffer[]): Promise<void> {
    const segment = await this.#current();
    await segment.append(Buffer.concat([...done, ...waiting.map(({ bytes }) => bytes)]), { sync: true });
    this.#refused = false;
    this.#options.metrics.kept(waiting.length);
    for (const { record, settled } of waiting) {
      this.#open.set(recordId(record), segment);
      segment.open += 1;
      if (settled && this.#release(recordId(record))) this.#note(record.callConnectionId, [record.entryId]);
    }
  }

  #failed(waiting: readonly Waiting[], error: RtvoiceError): void {
    if (waiting.length === 0) return;
    if (error.code === SPOOL_FULL.code) this.#refuse('disk');
    this.#options.metrics.failed(error.code);
    this.#options.log.error({ code: error.code, cause: errorCode(error.cause) }, 'records could not be spooled');
    for (const { kept } of waiting) kept.reject(error);
  }

  async #current(): Promise<Segment> {
    const last = this.#segments.at(-1);
    if (last && last.bytes < (this.#options.segmentBytes ?? SEGMENT_BYTES)) return last;
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    this.#number += 1;
    const name = `${String(this.#number).padStart(6, '0')}.spool`;
    const segment = await Segment.create(join(this.#options.directory, name));
    this.#segments.push(segment);
    return segment;
  }

  async #forgetEmpty(): Promise<void> {
    for (const segment of [...this.#segments]) {
      if (segment.open > 0) continue;
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      await segment.remove().catch((error: unknown) => {
        this.#options.log.warn({ cause: errorCode(error) }, 'an empty part of the spool could not be removed');
      });
    }
    if (this.#segments.length === 0) this.#refused = false;
  }

  #refuse(why: 'bound' | 'disk'): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#options.log.error({ why, records: this.records }, 'the spool is full: new calls are refused');
  }
}

function spoolError(cause: unknown): RtvoiceError {
  if (cause instanceof RtvoiceError) return cause;
  const code = errorCode(cause);
  return (code === 'ENOSPC' || code === 'EDQUOT' ? SPOOL_FULL : SPOOL_FAILED).with(code, cause);
}
