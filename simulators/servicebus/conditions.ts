import type { AmqpError } from 'rhea';

/** Error conditions of Service Bus and AMQP 1.0 (docs: service-bus-amqp-protocol-guide), with the text that goes with them. */
function condition(name: string, text: string) {
  return (detail?: string): AmqpError => ({ condition: name, description: detail ? `${text} ${detail}` : text });
}

export const unauthorized = condition(
  'amqp:unauthorized-access',
  "Unauthorized access. 'Send' or 'Listen' claim(s) are required.",
);
export const entityNotFound = (name: string): AmqpError => ({
  condition: 'amqp:not-found',
  description: `The messaging entity '${name}' could not be found.`,
});
export const serverBusy = condition(
  'com.microsoft:server-busy',
  'The request was terminated because the entity is being throttled.',
);
export const detachForced = condition('amqp:link:detach-forced', 'The link is force detached by the broker.');
export const tooLarge = condition(
  'amqp:link:message-size-exceeded',
  'The received message exceeds the maximum message size.',
);
export const sessionNeeded = condition(
  'amqp:not-allowed',
  'The entity requires sessions: a session id or session filter is needed.',
);
export const noSessions = condition('amqp:not-allowed', 'The entity is not enabled for sessions.');
export const sessionTaken = condition(
  'com.microsoft:session-cannot-be-locked',
  'The requested session cannot be accepted: it is locked by another receiver.',
);
export const sessionTimeout = condition('com.microsoft:timeout', 'No session was available within the time allowed.');
export const sessionLockLost = condition(
  'com.microsoft:session-lock-lost',
  'The session lock was lost. Request a new session receiver.',
);
export const messageLockLost = condition(
  'com.microsoft:message-lock-lost',
  'The lock supplied is invalid: it expired, or the message was already removed.',
);
export const messageNotFound = condition('com.microsoft:message-not-found', 'No message has this sequence number.');
export const notImplemented = condition('amqp:not-implemented', 'This operation is not known.');

/** `status-code` of a $management answer with this error. */
export function statusOf({ condition: name }: AmqpError): number {
  switch (name) {
    case 'com.microsoft:message-lock-lost':
    case 'com.microsoft:session-lock-lost':
      return 410;
    case 'com.microsoft:message-not-found':
    case 'amqp:not-found':
      return 404;
    case 'amqp:unauthorized-access':
      return 401;
    case 'amqp:not-implemented':
      return 501;
    default:
      return 400;
  }
}
