/** Why we close an established media socket: a closed list, each counted. Nothing else may close one. */
export const MEDIA_CLOSE_REASONS = {
  hangUp: 'the call was hung up by the dialogue, the caller or a limit',
  acsClose: 'ACS closed the socket',
  superseded: 'a newer socket or a newer owner took the call over',
  drainDeadline: 'a drain from outside reached its deadline',
  idle: 'no frame and no pong for longer than the idle limit',
  protocolViolation: 'too many malformed frames or a message above the size limit',
  overload: 'one peer read too slowly for ten seconds',
  ownerLost: 'a relayed socket whose owner died, and which no worker may take over now',
  shutdown: 'the process ended with its calls already handed over or finished',
} as const;
export type MediaCloseReason = keyof typeof MEDIA_CLOSE_REASONS;

/** How a call ended, as the transcript and the metric `rtvoice_calls_ended_total` say it. */
export const CALL_END_REASONS = {
  callerHangUp: 'the caller hung up',
  dialogueHangUp: 'the dialogue ended the call',
  transferred: 'the call went to another participant',
  maxDuration: 'the longest allowed call was reached',
  idle: 'nobody spoke for the idle limit',
  drainDeadline: 'a drain from outside reached its deadline',
  mediaLost: 'no media socket came back within the grace time',
  answerFailed: 'ACS refused the answer',
  orphaned: 'the owner died and nobody could resume the call',
} as const;
export type CallEndReason = keyof typeof CALL_END_REASONS;
