import type { MediaCloseReason } from '../../contract/reasons.ts';
import { Counter, Gauge, Histogram, type Registry } from '../../platform/metrics.ts';
import type { DropReason } from './slow_decoder.ts';

/** Why audio was dropped on its way to the caller. */
export type AudioDropReason =
  /** The call's queue was full; the newest audio is refused. */
  | 'queueFull'
  /** The answer had been stopped or had ended already. */
  | 'staleAnswer'
  /** The peer read too slowly, so that the moment to play it went by. */
  | 'slowReader'
  /** The socket refused it at its backpressure limit. */
  | 'backpressure';

const LATENESS_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.5, 1];

/** One stream as the scrape sees it. */
export interface MeteredStream {
  bufferedBytes(): number;
}

/** Media metrics of one process. Counts of the frame path are plain numbers and reach the registry at a scrape: a labelled counter costs more than a frame's decoding. */
export class MediaMetrics {
  framesIn = 0;
  framesOut = 0;
  readonly attached = new Set<MeteredStream>();
  readonly #dropped: Counter<'why'>;
  readonly #malformed: Counter<'why'>;
  readonly #underruns: Counter;
  readonly #closed: Counter<'reason'>;
  readonly #lateness: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    total(registry, 'rtvoice_audio_frames_in_total', 'Frames of 20 ms received from callers.', () => this.framesIn);
    total(registry, 'rtvoice_audio_frames_out_total', 'Frames of 20 ms sent to callers.', () => this.framesOut);
    this.#dropped = new Counter({
      name: 'rtvoice_audio_frames_dropped_total',
      help: 'Frames of answers that no caller heard, by cause.',
      labelNames: ['why'],
      registers,
    });
    this.#malformed = new Counter({
      name: 'rtvoice_media_malformed_total',
      help: 'Messages of media sockets that were dropped, by fault.',
      labelNames: ['why'],
      registers,
    });
    this.#underruns = new Counter({
      name: 'rtvoice_audio_underruns_total',
      help: 'Times that an answer went silent because its next frame was not there when the one before had been played.',
      registers,
    });
    this.#lateness = new Histogram({
      name: 'rtvoice_audio_frame_lateness_seconds',
      help: 'How late the pacing tick was that sent frames; up to the lead nobody hears it.',
      buckets: LATENESS_BUCKETS,
      registers,
    });
    this.#closed = new Counter({
      name: 'rtvoice_media_closed_total',
      help: 'Media sockets that closed, by the closed list of reasons.',
      labelNames: ['reason'],
      registers,
    });
    const { attached } = this;
    new Gauge({
      name: 'rtvoice_ws_buffered_bytes',
      help: 'Bytes that media sockets hold because their peers do not read, all calls together.',
      registers,
      collect() {
        let bytes = 0;
        for (const stream of attached) bytes += stream.bufferedBytes();
        this.set(bytes);
      },
    });
  }

  dropped(why: AudioDropReason, frames: number): void {
    if (frames > 0) this.#dropped.inc({ why }, frames);
  }

  malformed(why: DropReason): void {
    this.#malformed.inc({ why });
  }

  closed(reason: MediaCloseReason): void {
    this.#closed.inc({ reason });
  }

  underrun(): void {
    this.#underruns.inc();
  }

  lateTick(lateMs: number): void {
    this.#lateness.observe(Math.max(0, lateMs) / 1000);
  }
}

function total(registry: Registry, name: string, help: string, value: () => number): void {
  let published = 0;
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      const now = value();
      this.inc(now - published);
      published = now;
    },
  });
}
