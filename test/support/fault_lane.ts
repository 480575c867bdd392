import { setTimeout as delay } from 'node:timers/promises';
import { fateOf, type Toxic } from './fault_toxics.ts';

export interface LaneEnds {
  active(): readonly Toxic[];
  /** False when the other end is full; `drained` then tells when it is not. */
  write(bytes: Buffer): boolean;
  drained(): Promise<unknown>;
  end(): void;
  cut(how: 'reset' | 'close'): void;
  pause(): void;
  resume(): void;
}

interface Piece {
  /** Undefined: the end of the stream. */
  readonly bytes: Buffer | undefined;
  readonly atMs: number;
}

/** More than this waiting and the sender is not read from: what a full network does. */
const WAITING_BYTES = 1024 * 1024;

/** One direction of one connection: pieces leave in the order in which they came, each after what its toxics ask for. */
export class Lane {
  readonly #ends: LaneEnds;
  readonly #waiting: Piece[] = [];
  readonly #closed = new AbortController();
  #waitingBytes = 0;
  #passedBytes = 0;
  #running = false;
  #holed = false;

  constructor(ends: LaneEnds) {
    this.#ends = ends;
  }

  push(bytes: Buffer | undefined): void {
    this.#waiting.push({ bytes, atMs: performance.now() });
    this.#waitingBytes += bytes?.length ?? 0;
    if (this.#waitingBytes > WAITING_BYTES) this.#ends.pause();
    if (!this.#running) void this.#run();
  }

  /** There is nobody left to deliver to: what still waits is dropped. */
  abort(): void {
    this.#closed.abort();
    this.#waiting.length = 0;
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let piece = this.#waiting.shift(); piece; piece = this.#waiting.shift()) {
        await this.#pass(piece);
        this.#waitingBytes -= piece.bytes?.length ?? 0;
        if (this.#waitingBytes <= WAITING_BYTES) this.#ends.resume();
      }
    } catch (error) {
      if (!this.#closed.signal.aborted) throw error;
    } finally {
      this.#running = false;
    }
  }

  async #pass({ bytes, atMs }: Piece): Promise<void> {
    const fate = fateOf(bytes, this.#ends.active(), this.#passedBytes);
    // No network delivers what comes after a hole.
    if (this.#holed && fate.kind !== 'swallow') return this.#ends.cut('reset');
    this.#holed ||= fate.kind === 'swallow' && bytes !== undefined;
    await this.#sleep(fate.delayMs - (performance.now() - atMs));
    for (const [index, piece] of fate.pieces.entries()) {
      if (index > 0) await this.#sleep(fate.gapMs);
      if (fate.bytesPerSecond !== undefined) await this.#sleep((1000 * piece.length) / fate.bytesPerSecond);
      this.#passedBytes += piece.length;
      if (!this.#ends.write(piece)) await this.#ends.drained();
    }
    if (fate.kind === 'reset' || fate.kind === 'close') this.#ends.cut(fate.kind);
    else if (fate.kind === 'pass' && bytes === undefined) this.#ends.end();
  }

  async #sleep(ms: number): Promise<void> {
    // A turn of its own also without a delay: else slices would leave in one packet.
    if (ms > 0) await delay(ms, undefined, { signal: this.#closed.signal });
    else await new Promise((resolve) => setImmediate(resolve));
  }
}
