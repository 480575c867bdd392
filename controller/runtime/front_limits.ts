/** What bounds a client of the front, and how long a worker may take before the next one is tried. */
export interface FrontLimits {
  /** A request head above this is refused with 431. */
  readonly maxHeadBytes: number;
  /** A client that has not sent its whole head by then is cut off. */
  readonly headTimeoutMs: number;
  /** A client that has not sent its whole body by then is cut off. */
  readonly requestTimeoutMs: number;
  /** Connections above this are closed at once. */
  readonly maxConnections: number;
  /** A body up to this size is kept, so that it can be sent to another worker; a larger one goes to one worker only. */
  readonly maxRepeatableBytes: number;
  /** No application answer by then: the next worker is tried. */
  readonly answerTimeoutMs: number;
  /** For the last candidate: nobody is left to try, so it may take longer. */
  readonly lastAnswerTimeoutMs: number;
  /** Workers tried for one request. */
  readonly maxAttempts: number;
}

export const FRONT_LIMITS: FrontLimits = {
  maxHeadBytes: 16 * 1024,
  headTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  maxConnections: 4_000,
  maxRepeatableBytes: 256 * 1024,
  answerTimeoutMs: 1_000,
  lastAnswerTimeoutMs: 5_000,
  maxAttempts: 4,
};
