import { FRAME_MS } from './settings.ts';

/** One answer on its way to the caller. */
export interface Answer {
  readonly id: string;
  /** Whole frames queued and not yet sent. */
  framesQueued: number;
  framesSent: number;
  /** Audio of the answer in milliseconds, without the silence that fills its last frame. */
  audioMs: number;
  /** No more audio comes. */
  complete: boolean;
  /** When its last frame sent so far will have been played. */
  playedOutAtMs: number;
}

export interface Ended {
  answerId: string;
  playedMs: number;
  stopped: boolean;
}

/** Answers that ended are remembered, so that audio which comes late for one is not taken for a new one. */
const REMEMBERED = 32;

/** The answers of one call in the order in which they are heard; only the last one takes audio. */
export class Answers {
  #open: Answer[] = [];
  readonly #ended: string[] = [];

  get size(): number {
    return this.#open.length;
  }

  get last(): Answer | undefined {
    return this.#open[this.#open.length - 1];
  }

  /** The answer that the next frame of the queue belongs to. */
  get sending(): Answer | undefined {
    for (let i = 0; i < this.#open.length; i++) if ((this.#open[i] as Answer).framesQueued > 0) return this.#open[i];
    return undefined;
  }

  /** Whether audio for this id can still be heard: it is the last answer, or a new one. */
  accepts(id: string): boolean {
    const last = this.last;
    if (last?.id === id) return !last.complete;
    return !this.#ended.includes(id) && !this.#open.some((answer) => answer.id === id);
  }

  open(id: string): Answer {
    const answer: Answer = { id, framesQueued: 0, framesSent: 0, audioMs: 0, complete: false, playedOutAtMs: 0 };
    this.#open.push(answer);
    return answer;
  }

  /** Takes out the first answer if it is complete and has been played. */
  shiftPlayed(nowMs: number): Ended | undefined {
    const first = this.#open[0];
    if (!first?.complete || first.framesQueued > 0 || first.playedOutAtMs > nowMs) return undefined;
    this.#open.shift();
    return this.#end(first, first.framesSent * FRAME_MS, false);
  }

  /** Ends all answers; `unplayedMs` of what was sent has not been heard. */
  stop(unplayedMs: number): Ended[] {
    const open = this.#open;
    this.#open = [];
    let rest = unplayedMs;
    // what is still unheard is the end of what was sent, so it is taken from the newest answer first
    const ended = open.reverse().map((answer) => {
      const sentMs = answer.framesSent * FRAME_MS;
      const unheard = Math.min(rest, sentMs);
      rest -= unheard;
      return this.#end(answer, sentMs - unheard, true);
    });
    return ended.reverse();
  }

  #end(answer: Answer, playedMs: number, stopped: boolean): Ended {
    this.#ended.push(answer.id);
    if (this.#ended.length > REMEMBERED) this.#ended.shift();
    return { answerId: answer.id, playedMs: Math.round(Math.min(playedMs, answer.audioMs)), stopped };
  }
}
