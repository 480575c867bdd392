import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import type { VoiceMetrics } from '../metrics.ts';
import { SPEECH_BUSY, SPEECH_FAILED } from './errors.ts';
import { decoderRelease } from './pocketsphinx.ts';
import { Thread } from './thread.ts';

export type RecogniserRequest =
  | { kind: 'begin'; id: number }
  | { kind: 'audio'; id: number; pcm: Int16Array }
  | { kind: 'end'; id: number }
  | { kind: 'cancel'; id: number }
  | { kind: 'close' };
export type RecogniserReply =
  | { kind: 'partial'; id: number; text: string }
  | { kind: 'final'; id: number; text: string };

export interface UtteranceListener {
  onPartial(text: string): void;
  /** The whole text; empty when nothing was recognised. */
  onFinal(text: string): void;
  /** ERR_SPEECH_FAILED or ERR_SPEECH_BUSY: the utterance is lost, the call goes on. */
  onFailed(error: unknown): void;
}

/** Utterances that wait for a free thread; one more is refused at once (policy `refuseNewest`): it would be understood too late. */
const MAX_WAITING = 16;
/** Half a minute of speech and its recognition; a thread that needs longer hangs, and an utterance that waits longer is refused. */
const FINAL_LIMIT_MS = 15_000;
/** Audio comes every 20 ms. An utterance without any for this long has lost its socket: it must not keep a thread from other callers. */
const STALL_MS = 5_000;
const STALL_CHECK_MS = 1_000;

/** One utterance on its way through the recogniser. Audio that comes while it waits for a thread is kept. */
export class Utterance {
  readonly id: number;
  readonly listener: UtteranceListener;
  readonly kept: Int16Array[] = [];
  ended = false;
  thread: RecogniserSlot | undefined;
  deadline: Timer | undefined;
  heardAtMs = 0;
  readonly #pool: Recogniser;

  constructor(pool: Recogniser, id: number, listener: UtteranceListener) {
    this.#pool = pool;
    this.id = id;
    this.listener = listener;
  }

  /** 16 kHz mono; copied at once. */
  hear(pcm: Int16Array): void {
    this.#pool.hear(this, pcm.slice());
  }

  end(): void {
    this.#pool.end(this);
  }

  /** Nobody wants its text any more. */
  cancel(): void {
    this.#pool.cancel(this);
  }
}

interface RecogniserSlot {
  thread: Thread<RecogniserRequest, RecogniserReply>;
  utterance: Utterance | undefined;
}

export interface RecogniserOptions {
  threads: number;
  /** What the dialogue expects to hear. */
  phrases: readonly string[];
  workDir: string;
  clock: Clock;
  log: Log;
  metrics: VoiceMetrics;
}

/** A few recogniser threads, one utterance each at a time; text streams along while the caller speaks. */
export class Recogniser {
  readonly #options: RecogniserOptions;
  readonly #slots: RecogniserSlot[];
  readonly #waiting: Utterance[] = [];
  readonly #stallCheck: Timer;
  readonly #release = decoderRelease();
  #nextId = 1;
  #closed = false;

  constructor(options: RecogniserOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.threads }, () => this.#slot());
    this.#stallCheck = options.clock.every(STALL_CHECK_MS, () => this.#endStalled());
  }

  async ready(): Promise<void> {
    await Promise.all(this.#slots.map(({ thread }) => thread.ready()));
  }

  begin(listener: UtteranceListener): Utterance {
    const utterance = new Utterance(this, this.#nextId++, listener);
    utterance.heardAtMs = this.#options.clock.monotonicMs();
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      this.#options.metrics.utterances.inc({ result: 'refused' });
      listener.onFailed(SPEECH_BUSY.with('recognition'));
      return utterance;
    }
    this.#waiting.push(utterance);
    this.#next();
    return utterance;
  }

  hear(utterance: Utterance, pcm: Int16Array<ArrayBuffer>): void {
    if (utterance.ended) return;
    utterance.heardAtMs = this.#options.clock.monotonicMs();
    if (utterance.thread) utterance.thread.thread.post({ kind: 'audio', id: utterance.id, pcm }, [pcm.buffer]);
    else if (this.#waiting.includes(utterance)) utterance.kept.push(pcm);
  }

  end(utterance: Utterance): void {
    if (utterance.ended) return;
    utterance.ended = true;
    if (utterance.thread) this.#finish(utterance, utterance.thread);
    else if (this.#waiting.includes(utterance))
      utterance.deadline = this.#options.clock.after(FINAL_LIMIT_MS, () => this.#refuse(utterance));
  }

  cancel(utterance: Utterance): void {
    const slot = utterance.thread;
    if (!slot && !this.#unqueue(utterance)) return;
    this.#options.metrics.utterances.inc({ result: 'cancelled' });
    slot?.thread.post({ kind: 'cancel', id: utterance.id });
    if (slot) this.#free(slot);
  }

  /** Whoever still waits for a text is told that none comes. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stallCheck.cancel();
    for (const utterance of [...this.#waiting]) this.#refuse(utterance);
    await Promise.all(this.#slots.map(({ thread }) => thread.close()));
    for (const slot of this.#slots) this.#fail(slot);
  }

  #refuse(utterance: Utterance): void {
    if (!this.#unqueue(utterance)) return;
    this.#options.metrics.utterances.inc({ result: 'refused' });
    utterance.listener.onFailed(SPEECH_BUSY.with('recognition'));
  }

  #unqueue(utterance: Utterance): boolean {
    const at = this.#waiting.indexOf(utterance);
    if (at < 0) return false;
    this.#waiting.splice(at, 1);
    utterance.deadline?.cancel();
    this.#options.metrics.recognitionWaiting.set(this.#waiting.length);
    return true;
  }

  #endStalled(): void {
    const beforeMs = this.#options.clock.monotonicMs() - STALL_MS;
    for (const { utterance } of this.#slots) if (utterance && utterance.heardAtMs <= beforeMs) this.end(utterance);
  }

  #slot(): RecogniserSlot {
    const { phrases, workDir, clock, log, metrics } = this.#options;
    const slot: RecogniserSlot = {
      utterance: undefined,
      thread: new Thread<RecogniserRequest, RecogniserReply>({
        script: 'recogniser_thread',
        workerData: { phrases, workDir },
        clock,
        log,
        onMessage: (reply) => this.#onReply(slot, reply),
        onUp: () => this.#next(),
        onLost: () => {
          metrics.threadRestarts.inc({ thread: 'recogniser' });
          this.#fail(slot);
        },
        ...(this.#release && { release: this.#release }),
      }),
    };
    return slot;
  }

  #next(): void {
    for (const slot of this.#slots) {
      if (slot.utterance || !slot.thread.up) continue;
      const utterance = this.#waiting.shift();
      if (!utterance) break;
      slot.utterance = utterance;
      utterance.thread = slot;
      slot.thread.post({ kind: 'begin', id: utterance.id });
      for (const pcm of utterance.kept.splice(0)) slot.thread.post({ kind: 'audio', id: utterance.id, pcm });
      if (utterance.ended) this.#finish(utterance, slot);
    }
    this.#options.metrics.recognitionWaiting.set(this.#waiting.length);
  }

  #finish(utterance: Utterance, slot: RecogniserSlot): void {
    slot.thread.post({ kind: 'end', id: utterance.id });
    utterance.deadline?.cancel();
    utterance.deadline = this.#options.clock.after(FINAL_LIMIT_MS, () => slot.thread.abandon());
  }

  #onReply(slot: RecogniserSlot, reply: RecogniserReply): void {
    const { utterance } = slot;
    if (utterance?.id !== reply.id) return;
    if (reply.kind === 'partial') {
      utterance.listener.onPartial(reply.text);
      return;
    }
    this.#options.metrics.utterances.inc({ result: reply.text === '' ? 'empty' : 'text' });
    this.#free(slot);
    utterance.listener.onFinal(reply.text);
  }

  #fail(slot: RecogniserSlot): void {
    const { utterance } = slot;
    if (!utterance) return;
    this.#options.metrics.utterances.inc({ result: 'failed' });
    this.#free(slot);
    utterance.listener.onFailed(SPEECH_FAILED.with('recognition'));
  }

  #free(slot: RecogniserSlot): void {
    slot.utterance?.deadline?.cancel();
    if (slot.utterance) slot.utterance.thread = undefined;
    slot.utterance = undefined;
    this.#next();
  }
}
