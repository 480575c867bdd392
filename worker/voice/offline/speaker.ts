import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import type { VoiceMetrics } from '../metrics.ts';
import { SPEECH_BUSY, SPEECH_FAILED } from './errors.ts';
import { Thread } from './thread.ts';

export type SpeakerRequest =
  | { kind: 'speak'; id: number; voice: string; sampleRateHertz: number; text: string }
  | { kind: 'close' };
export type SpeakerReply = { kind: 'spoken'; id: number; pcm: Int16Array };

/** What waits beyond is refused at once (policy `refuseNewest`): a later sentence would come too late to be an answer. */
const MAX_WAITING = 64;
/** A sentence takes some 40 ms; a thread that is silent for this long hangs. One that waits for this long is refused. */
const LONGEST_MS = 10_000;

interface Job {
  id: number;
  voice: string;
  sampleRateHertz: number;
  text: string;
  deadline: Timer;
  resolve(pcm: Int16Array): void;
  reject(error: unknown): void;
}

/** Speaks sentences in a thread of its own, one after the other. */
export class Speaker {
  readonly #thread: Thread<SpeakerRequest, SpeakerReply>;
  readonly #clock: Clock;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: { voice: string; clock: Clock; log: Log; metrics: VoiceMetrics }) {
    const { voice, clock, log, metrics } = options;
    this.#clock = clock;
    this.#thread = new Thread({
      script: 'speaker_thread',
      workerData: { voice },
      clock,
      log,
      onMessage: (reply) => this.#onSpoken(reply),
      onUp: () => this.#next(),
      onLost: () => {
        metrics.threadRestarts.inc({ thread: 'speaker' });
        this.#settle()?.reject(SPEECH_FAILED.with('synthesis'));
      },
    });
  }

  ready(): Promise<void> {
    return this.#thread.ready();
  }

  /** PCM at the given rate. Rejects with ERR_SPEECH_BUSY or ERR_SPEECH_FAILED. */
  speak(request: { voice: string; sampleRateHertz: number; text: string }): Promise<Int16Array> {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) return Promise.reject(SPEECH_BUSY.with('synthesis'));
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.after(LONGEST_MS, () => this.#refuse(job));
      const job: Job = { id: this.#nextId++, ...request, deadline, resolve, reject };
      this.#waiting.push(job);
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of [...this.#waiting]) this.#refuse(job);
    await this.#thread.close();
    this.#settle()?.reject(SPEECH_BUSY.with('closing'));
  }

  #next(): void {
    if (this.#running || !this.#thread.up) return;
    const job = this.#waiting.shift();
    if (!job) return;
    this.#running = job;
    job.deadline.cancel();
    job.deadline = this.#clock.after(LONGEST_MS, () => this.#thread.abandon());
    const { id, voice, sampleRateHertz, text } = job;
    this.#thread.post({ kind: 'speak', id, voice, sampleRateHertz, text });
  }

  #onSpoken(reply: SpeakerReply): void {
    if (this.#running?.id !== reply.id) return;
    this.#settle()?.resolve(reply.pcm);
    this.#next();
  }

  /** A job that no thread has taken. */
  #refuse(job: Job): void {
    job.deadline.cancel();
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    job.reject(SPEECH_BUSY.with(this.#closed ? 'closing' : 'synthesis'));
  }

  #settle(): Job | undefined {
    const job = this.#running;
    job?.deadline.cancel();
    this.#running = undefined;
    return job;
  }
}
