import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import { SPEECH_UNAVAILABLE } from './errors.ts';

const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;
const CLOSE_MS = 2_000;
/** Models load in some seconds; a thread that has said nothing by then hangs. */
const START_MS = 60_000;
/** Threads that were given up and have not ended. Each may hold a core and its models, so with so many no other is started. */
const MAX_LEFT_BEHIND = 3;

export interface ThreadOptions<Out> {
  /** Name of a module beside this one, without its ending. It posts `{kind:'ready', handle?}` once or `{kind:'unavailable', detail}`, and ends on `{kind:'close'}` or when `stop` of its data is 1. */
  script: 'recogniser_thread' | 'speaker_thread';
  workerData: object;
  clock: Clock;
  log: Log;
  onMessage(message: Out): void;
  /** Ready for work: at first, and after each restart. */
  onUp(): void;
  /** The thread has ended though nobody asked it to; it will be started again. */
  onLost(): void;
  /** The thread whose `ready` came with this handle has ended: memory of a native library outlives the thread that took it. */
  release?(handle: bigint): void;
}

type Sign = { kind: 'ready'; handle?: bigint } | { kind: 'unavailable'; detail: string };

/** A worker thread that is started again whenever it ends, later each time until it has come up once more. */
export class Thread<In extends { kind: string }, Out extends { kind: string }> {
  readonly #options: ThreadOptions<Out>;
  readonly #ready: Promise<void>;
  #settle: { resolve(): void; reject(error: unknown): void } | undefined;
  #worker: Worker | undefined;
  /** Shared with the running thread: 1 tells it to leave its backlog. */
  #stop = new Int32Array(new SharedArrayBuffer(4));
  #leftBehind = 0;
  #up = false;
  #closed = false;
  #restartMs = FIRST_RESTART_MS;
  #timer: Timer | undefined;

  constructor(options: ThreadOptions<Out>) {
    this.#options = options;
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever starts the thread may ask later, or never.
    this.#ready.catch(() => undefined);
    this.#start();
  }

  get up(): boolean {
    return this.#up;
  }

  /** Resolves when it first came up; rejects with ERR_SPEECH_UNAVAILABLE. */
  ready(): Promise<void> {
    return this.#ready;
  }

  post(message: In, transfer: readonly TransferListItem[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  /**
   * Gives up a thread that no longer answers; another comes up at once. The old one is only asked to end: to terminate a thread inside
   * native code aborts the whole process, with every call in it.
   */
  abandon(): void {
    const worker = this.#worker;
    if (!worker) return;
    this.#askToEnd(worker);
    this.#leftBehind += 1;
    worker.once('exit', () => {
      this.#leftBehind -= 1;
    });
    this.#onEnded(worker);
  }

  /** Resolves when the thread has ended, at the latest after `CLOSE_MS`: one that hangs is left behind. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const { clock, log, script } = this.#options;
    const worker = this.#worker;
    if (!worker) return;
    await new Promise<void>((resolve) => {
      const timer = clock.after(CLOSE_MS, () => {
        log.warn({ script }, 'a speech thread does not end and is left behind');
        worker.unref();
        resolve();
      });
      worker.once('exit', () => {
        timer.cancel();
        resolve();
      });
      this.#askToEnd(worker);
      worker.ref();
    });
  }

  #askToEnd(worker: Worker): void {
    Atomics.store(this.#stop, 0, 1);
    worker.postMessage({ kind: 'close' });
  }

  #start(): void {
    const { script, workerData, log, clock, release } = this.#options;
    if (this.#leftBehind >= MAX_LEFT_BEHIND) {
      log.error({ script, leftBehind: this.#leftBehind }, 'too many speech threads hang; none is started');
      this.#timer = clock.after(LONGEST_RESTART_MS, () => this.#start());
      return;
    }
    this.#stop = new Int32Array(new SharedArrayBuffer(4));
    // Sources run unbuilt in development; the build turns both names into .js.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./${script}.${ending}`, import.meta.url), {
      workerData: { ...workerData, stop: this.#stop },
      name: script,
    });
    let handle: bigint | undefined;
    worker.unref();
    this.#worker = worker;
    this.#timer = clock.after(START_MS, () => this.abandon());
    worker.on('message', (message: Out | Sign) => {
      if (message.kind === 'ready') handle = (message as { handle?: bigint }).handle;
      if (worker === this.#worker) this.#onMessage(message);
    });
    worker.on('error', (error) => log.warn({ script, err: error }, 'a speech thread failed'));
    worker.on('exit', () => {
      if (handle !== undefined) release?.(handle);
      this.#onEnded(worker);
    });
  }

  #onMessage(message: Out | Sign): void {
    if (message.kind === 'ready') {
      this.#timer?.cancel();
      this.#up = true;
      this.#restartMs = FIRST_RESTART_MS;
      this.#settle?.resolve();
      this.#options.onUp();
    } else if (message.kind === 'unavailable') {
      const { detail } = message as { detail: string };
      this.#options.log.warn({ script: this.#options.script, detail }, 'a speech thread cannot start');
      this.#settle?.reject(SPEECH_UNAVAILABLE.with(detail));
    } else this.#options.onMessage(message as Out);
  }

  /** Once for each thread: one that was given up has been followed by another when it ends at last. */
  #onEnded(worker: Worker): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const wasUp = this.#up;
    this.#up = false;
    this.#settle?.reject(SPEECH_UNAVAILABLE.with('the speech thread ended while it started'));
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(this.#restartMs, () => this.#start());
    this.#restartMs = Math.min(this.#restartMs * 2, LONGEST_RESTART_MS);
    if (wasUp) this.#options.onLost();
  }
}
