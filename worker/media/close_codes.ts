import type { MediaCloseReason } from '../../contract/reasons.ts';

/** WebSocket close codes (RFC 6455 section 7.4.1, and 1013 of the IANA registry) by our reasons. */
export const CLOSE_CODES: Readonly<Record<MediaCloseReason, number>> = {
  hangUp: 1000,
  acsClose: 1000,
  superseded: 1000,
  drainDeadline: 1001,
  idle: 1001,
  protocolViolation: 1003,
  overload: 1013,
  ownerLost: 1013,
  shutdown: 1001,
};
