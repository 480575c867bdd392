/** How a call stands or ended, seen by the caller. */
export type CallOutcome =
  /** Nobody has answered yet. */
  | 'ringing'
  | 'answered'
  /** The worker rejected it. */
  | 'rejected'
  /** The worker sent it elsewhere without answering. */
  | 'redirected'
  /** The ring time passed. */
  | 'notAnswered'
  /** The caller hung up before it was answered. */
  | 'abandoned';

/** One thing the caller said or entered, and what came back. All times are milliseconds of one monotonic clock. */
export interface TurnRecord {
  spoken: string;
  kind: 'speech' | 'dtmf';
  /** End of the caller's speech (its last non-silent sample was sent, or the last key) to the first non-silent frame received. */
  responseMs: number | undefined;
  /** Start of the caller's speech to StopAudio; only when it began over an answer. */
  bargeInMs: number | undefined;
  /** `waitForAnswer` saw an answer begin and end. */
  answered: boolean;
  timedOut: boolean;
  /** So often the caller said it again, because the media socket had been lost. */
  repeated: number;
}

export interface RingAttempt {
  /** Since the call was placed. */
  afterMs: number;
  /** HTTP status; 0 when there was no answer. */
  status: number;
}

export interface CallRecord {
  id: string;
  correlationId: string;
  callConnectionId: string | undefined;
  outcome: CallOutcome;
  ringAttempts: RingAttempt[];
  /** Accepted answers: 0 or 1, whatever the workers try. */
  answers: number;
  /** Answers that came too late or second. */
  refusedAnswers: number;
  /** From placing the call to the accepted answer. */
  answeredAfterMs: number | undefined;
  /** From placing the call to the first audio frame of the worker. */
  firstAudioAfterMs: number | undefined;
  mediaConnects: number;
  /** Close codes of media sockets in order; 1006 when it broke. */
  mediaCloseCodes: number[];
  turns: TurnRecord[];
  /** Answers that began. */
  answersHeard: number;
  /** Playback ran dry for over 40 ms while the answer went on. */
  gapsMs: number[];
  stopAudios: number;
  /** Audio frames that came after StopAudio while the caller was still speaking: there can be no new answer yet. */
  framesAfterStop: number;
  framesSent: number;
  /** Frames that were due while no socket was open. */
  framesUnsent: number;
  framesReceived: number;
  /** Messages of the worker that are none of the protocol. */
  malformedMessages: number;
  /** Samples dropped because over a minute was queued. */
  overflowSamples: number;
  callbacks: CallbackRecord[];
  disconnectedBy: 'caller' | 'worker' | 'transfer' | undefined;
  rejectReason: string | undefined;
  redirectedTo: string | undefined;
  transferredTo: string | undefined;
  /** WAV file with what the caller heard, in real time. */
  recording: string | undefined;
}

export interface CallbackRecord {
  type: string;
  /** HTTP status of each attempt; 0 when there was no answer. */
  statuses: number[];
}

export function newRecord(id: string, correlationId: string): CallRecord {
  return {
    ...{ id, correlationId, callConnectionId: undefined, outcome: 'ringing', ringAttempts: [] },
    ...{ answers: 0, refusedAnswers: 0, answeredAfterMs: undefined, firstAudioAfterMs: undefined },
    ...{ mediaConnects: 0, mediaCloseCodes: [], turns: [], answersHeard: 0, gapsMs: [] },
    ...{ stopAudios: 0, framesAfterStop: 0, framesSent: 0, framesUnsent: 0, framesReceived: 0 },
    ...{ malformedMessages: 0, overflowSamples: 0, callbacks: [] },
    ...{ disconnectedBy: undefined, rejectReason: undefined, redirectedTo: undefined, transferredTo: undefined },
    recording: undefined,
  };
}

/** What happens in a call as it happens; also what `GET /calls/:id/events` streams. */
export type CallProgress =
  | { type: 'ringAttempt'; status: number }
  | { type: 'answered'; callConnectionId: string }
  | { type: 'refused'; outcome: 'rejected' | 'redirected' }
  | { type: 'mediaConnected'; times: number }
  | { type: 'mediaLost'; code: number }
  | { type: 'said'; text: string }
  | { type: 'dtmf'; tones: string }
  | { type: 'answerStarted'; responseMs: number | undefined }
  | { type: 'stopAudio' }
  | { type: 'turn'; turn: TurnRecord }
  | { type: 'callback'; event: string; status: number }
  | { type: 'scriptFailed'; message: string }
  | { type: 'ended'; record: CallRecord };
