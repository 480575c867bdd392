import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import { SPEECH_UNAVAILABLE } from './errors.ts';

const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;
const CLOSE_MS = 2_000;

export interface ThreadOptions<Out> {
  /** Name of a module beside this one, without its ending. It posts `{kind:'ready'}` once or `{kind:'unavailable', detail}`, and ends on `{kind:'close'}`. */
  script: 'recogniser_thread' | 'speaker_thread';
  workerData: unknown;
  clock: Clock;
  log: Log;
  onMessage(message: Out): void;
  /** Ready for work: at first, and after each restart. */
  onUp(): void;
  /** The thread has ended though nobody asked it to; it will be started again. */
  onLost(): void;
}

type Sign = { kind: 'ready' } | { kind: 'unavailable'; detail: string };

/** A worker thread that is started again whenever it ends, later each time until it has come up once more. */
export class Thread<In extends { kind: string }, Out extends { kind: string }> {
  readonly #options: ThreadOptions<Out>;
  readonly #ready: Promise<void>;
  #settle: { resolve(): void; reject(error: unknown): void } | undefined;
  #worker: Worker | undefined;
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

  /** Ends a thread that no longer answers; it comes up anew. */
  async abandon(): Promise<void> {
    await this.#worker?.terminate();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const worker = this.#worker;
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.postMessage({ kind: 'close' });
    const timer = this.#options.clock.after(CLOSE_MS, () => void worker.terminate());
    worker.ref();
    await ended;
    timer.cancel();
  }

  #start(): void {
    const { script, workerData, log } = this.#options;
    // Sources run unbuilt in development; the build turns both names into .js.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./${script}.${ending}`, import.meta.url), { workerData, name: script });
    worker.unref();
    this.#worker = worker;
    worker.on('message', (message: Out | Sign) => this.#onMessage(message));
    worker.on('error', (error) => log.warn({ script, err: error }, 'a speech thread failed'));
    worker.on('exit', () => this.#onExit());
  }

  #onMessage(message: Out | Sign): void {
    if (message.kind === 'ready') {
      this.#up = true;
      this.#restartMs = FIRST_RESTART_MS;
      this.#settle?.resolve();
      this.#options.onUp();
    } else if (message.kind === 'unavailable') {
      this.#settle?.reject(SPEECH_UNAVAILABLE.with((message as { detail: string }).detail));
    } else this.#options.onMessage(message as Out);
  }

  #onExit(): void {
    this.#worker = undefined;
    const wasUp = this.#up;
    this.#up = false;
    this.#settle?.reject(SPEECH_UNAVAILABLE.with('the speech thread ended while it started'));
    if (this.#closed) return;
    if (wasUp) this.#options.onLost();
    this.#timer = this.#options.clock.after(this.#restartMs, () => this.#start());
    this.#restartMs = Math.min(this.#restartMs * 2, LONGEST_RESTART_MS);
  }
}
