import type { Clock } from '../../../platform/clock.ts';
import type { Recogniser, Utterance } from './recogniser.ts';

/** One caller's utterances that have not been answered; beyond, what is understood so far is the turn. */
const MAX_PARTS = 4;

interface Part {
  utterance: Utterance | undefined;
  /** Undefined until the recogniser has said its last word. */
  text: string | undefined;
  endedAtMs: number | undefined;
}

export interface HearingListener {
  onPartial(text: string): void;
  /** All that was said since the last turn has been understood; an empty text was a noise. `endedAtMs`: when the caller fell silent. */
  onTurn(text: string, endedAtMs: number): void;
  /** Trouble with an utterance; `onTurn` or `onUnheard` follows. */
  onError(error: unknown): void;
  /** The caller has spoken, and nothing of it is known. */
  onUnheard(): void;
}

/**
 * Makes turns of utterances. A caller who goes on speaking before the last words are understood is still in the same turn: nothing of it
 * is lost, and nobody speaks into it.
 */
export class Hearing {
  readonly #recogniser: Pick<Recogniser, 'begin'>;
  readonly #clock: Clock;
  readonly #listener: HearingListener;
  #parts: Part[] = [];
  #failed = false;

  constructor(recogniser: Pick<Recogniser, 'begin'>, clock: Clock, listener: HearingListener) {
    this.#recogniser = recogniser;
    this.#clock = clock;
    this.#listener = listener;
  }

  /** The caller speaks, or what was said is not understood yet. */
  get open(): boolean {
    return this.#parts.length > 0;
  }

  start(): void {
    if (this.#running) this.end();
    if (this.#parts.length >= MAX_PARTS) this.#deliver();
    const part: Part = { utterance: undefined, text: undefined, endedAtMs: undefined };
    this.#parts.push(part);
    part.utterance = this.#recogniser.begin({
      onPartial: (text) => this.#listener.onPartial(text),
      onFinal: (text) => {
        // Without an end of ours the line has gone. After a failure the end is still waited for, so that nobody speaks into the speech.
        part.endedAtMs ??= this.#clock.monotonicMs();
        this.#settle(part, text);
      },
      onFailed: (error) => {
        this.#failed = true;
        this.#listener.onError(error);
        this.#settle(part, '');
      },
    });
  }

  /** 16 kHz mono; copied at once. */
  hear(pcm: Int16Array): void {
    this.#running?.utterance?.hear(pcm);
  }

  end(): void {
    const part = this.#running;
    if (!part) return;
    part.endedAtMs = this.#clock.monotonicMs();
    part.utterance?.end();
    this.#deliverWhole();
  }

  close(): void {
    for (const { utterance } of this.#parts.splice(0)) utterance?.cancel();
  }

  get #running(): Part | undefined {
    const last = this.#parts.at(-1);
    return last?.endedAtMs === undefined ? last : undefined;
  }

  #settle(part: Part, text: string): void {
    if (!this.#parts.includes(part)) return;
    part.text = text;
    this.#deliverWhole();
  }

  #deliverWhole(): void {
    if (this.#parts.every(({ text, endedAtMs }) => text !== undefined && endedAtMs !== undefined)) this.#deliver();
  }

  #deliver(): void {
    const parts = this.#parts.splice(0);
    const unheard = this.#failed;
    this.#failed = false;
    if (parts.length === 0) return;
    for (const { utterance, text } of parts) if (text === undefined) utterance?.cancel();
    const said = parts.map(({ text }) => text ?? '').filter((text) => text !== '');
    if (said.length === 0 && unheard) this.#listener.onUnheard();
    else this.#listener.onTurn(said.join(' '), parts.at(-1)?.endedAtMs ?? this.#clock.monotonicMs());
  }
}
