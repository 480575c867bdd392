import type { HistoryEntry } from '../../state/ports.ts';
import type { Activity } from '../media/ports.ts';

/**
 * A voice backend turns a caller's speech into an answer's speech. Two shapes fit: a cascade (recognise, decide, speak), which
 * needs the worker's turn detection, and a speech-to-speech service, which takes turns by itself.
 */
export interface VoiceBackend {
  readonly name: string;
  /** `worker`: `hear` is told where utterances start and end; `backend`: it finds them itself and says so by `onSpeechStarted`. */
  readonly turnTaking: 'worker' | 'backend';
  /** Resolves when calls can be served (models loaded, service reachable). */
  ready(): Promise<void>;
  open(options: VoiceSessionOptions): VoiceSession;
  close(): Promise<void>;
}

export interface VoiceSessionOptions {
  callRef: string;
  sampleRateHertz: 16000 | 24000;
  listener: VoiceListener;
  /** The caller is known from an earlier call. False too when that was not known in time: no call waits for it. */
  calledBefore: boolean;
  /** After a takeover: what `snapshot` gave at the last checkpoint, and the history so far. */
  resume: { dialogue: unknown; history: readonly HistoryEntry[] } | undefined;
}

/** One call's conversation. No method blocks or throws; trouble is told by `onError`. */
export interface VoiceSession {
  /** The media is up: greet, or after a takeover say nothing, or repeat what was cut off. */
  start(): void;
  /** One 20 ms frame; `pcm` is valid only during the call. */
  hear(pcm: Int16Array, activity: Activity): void;
  dtmf(tone: string): void;
  /** The caller spoke over the answer, of which `playedMs` were heard. */
  interrupted(answerId: string, playedMs: number): void;
  /** JSON that lets another worker go on: kept with each checkpoint. */
  snapshot(): unknown;
  /** Speaks a text that is not an answer (a drain notice); resolves when its audio has been handed over. */
  announce(text: string): Promise<void>;
  close(): void;
}

export type VoiceAction = { kind: 'hangUp' } | { kind: 'transfer'; target: string };

export interface VoiceListener {
  /** Only for backends that take turns themselves: barge-in is due now. */
  onSpeechStarted(): void;
  /** What is understood so far of the running utterance. */
  onPartial(text: string): void;
  /** The caller's turn is complete. An empty text is no turn and is not told. */
  onCallerTurn(turn: { text: string; source: 'speech' | 'dtmf' }): void;
  /** An answer begins. `answerId` is new for each answer of a call. */
  onAnswerStarted(answer: { answerId: string; text: string }): void;
  /** Audio of the answer at the session's sample rate; the array is the listener's to keep. */
  onAudio(answerId: string, pcm: Int16Array): void;
  /** All audio of the answer has been handed over; `action` is due once it has been played. */
  onAnswerEnded(answer: { answerId: string; text: string; action?: VoiceAction }): void;
  onError(error: unknown): void;
}
