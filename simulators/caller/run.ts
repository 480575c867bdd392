import { defined } from '../../platform/json.ts';
import type { SpeechLibrary, Utterance } from '../audio/speech.ts';
import type { SampleRate } from '../media/frames.ts';
import type { MediaLeg } from '../media/leg.ts';
import type { CallProgress, TurnRecord } from './record.ts';
import type { CallerScript, ScriptStep, SpeechStep } from './script.ts';
import { DEFAULT_PATIENCE, judge, type Patience } from './waiting.ts';

export interface CallerOptions {
  leg: MediaLeg;
  rate: SampleRate;
  speech: SpeechLibrary;
  turns: TurnRecord[];
  /** One key pressed: in band and, when the worker asked for it, as an event. */
  onTone(tone: string): void;
  hangUp(): void;
  progress(event: CallProgress): void;
  /** The call is over. */
  ended(): boolean;
}

const DEFAULT_TONE_MS = 100;
const DEFAULT_TIMEOUT_MS = 30_000;

/** Plays a caller's script to its end or the end of the call. */
export async function runScript(script: CallerScript, options: CallerOptions): Promise<void> {
  const caller = new Caller(options);
  for (const step of script) {
    if (options.ended()) return;
    await caller.take(step);
  }
}

class Caller {
  readonly #options: CallerOptions;
  #turn: TurnRecord | undefined;
  /** Says what was said last again. */
  #again: (() => Promise<void>) | undefined;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  async take(step: ScriptStep): Promise<void> {
    const { leg } = this.#options;
    switch (step.kind) {
      case 'say':
        return this.#say(step);
      case 'interrupt':
        await this.#until(() => leg.answering, step.timeoutMs ?? DEFAULT_TIMEOUT_MS);
        await leg.wait(step.afterMs);
        return this.#say(step);
      case 'dtmf':
        return this.#press(step.tones, step.toneMs ?? DEFAULT_TONE_MS);
      case 'pause':
        return leg.wait(step.ms);
      case 'waitForAnswer':
        return this.#waitForAnswer({ ...DEFAULT_PATIENCE, ...defined(step) });
      case 'hangUp':
        return this.#options.hangUp();
      case 'waitForHangUp':
        return this.#until(() => this.#options.ended(), step.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    }
  }

  async #say(step: SpeechStep): Promise<void> {
    const { leg, speech, rate, progress } = this.#options;
    const utterance: Utterance = await speech.utterance(step, rate);
    const turn = this.#newTurn(utterance.text, 'speech');
    progress({ type: 'said', text: utterance.text });
    this.#again = () => leg.speak(utterance, turn);
    await this.#again();
  }

  async #press(tones: string, toneMs: number): Promise<void> {
    const { leg, onTone, progress } = this.#options;
    const turn = this.#newTurn(tones, 'dtmf');
    progress({ type: 'dtmf', tones });
    this.#again = () => leg.press(tones, toneMs, turn, onTone);
    await this.#again();
  }

  async #waitForAnswer(patience: Patience): Promise<void> {
    const { leg, progress, ended } = this.#options;
    const turn = this.#turn;
    const startMs = performance.now();
    for (;;) {
      const verdict = judge(leg.waiting(startMs), patience);
      if (verdict === 'answered' || verdict === 'timedOut') {
        if (!turn) return;
        turn.answered = verdict === 'answered';
        turn.timedOut = verdict === 'timedOut';
        return progress({ type: 'turn', turn: { ...turn } });
      }
      if (verdict === 'repeat' && turn) {
        turn.repeated += 1;
        await this.#again?.();
      } else await leg.nextTick();
      if (ended()) return;
    }
  }

  async #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!condition() && performance.now() < endMs && !this.#options.ended()) await this.#options.leg.nextTick();
  }

  #newTurn(spoken: string, kind: TurnRecord['kind']): TurnRecord {
    const turn: TurnRecord = {
      ...{ spoken, kind, responseMs: undefined, bargeInMs: undefined },
      ...{ answered: false, timedOut: false, repeated: 0 },
    };
    this.#turn = turn;
    this.#options.turns.push(turn);
    return turn;
  }
}
