import { defineScript } from '../redis/script.ts';

/**
 * A call's records as they stand at one moment.
 *
 * ARGV outboxLimit
 */
export const READ_SCRIPT = defineScript({
  name: 'callRead',
  keys: ['session', 'context', 'history', 'outbox'],
  lua: `
return {
  redis.call('HGET', sessionKey, '_record'), redis.call('GET', contextKey),
  redis.call('XRANGE', historyKey, '-', '+'), redis.call('XRANGE', outboxKey, '-', '+', 'COUNT', ARGV[1])
}
`,
});
