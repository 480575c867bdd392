import { defineScript } from '../redis/script.ts';

/**
 * An entry that the archive refuses for good leaves the stream and stands in the quarantine, in one step.
 *
 * ARGV streamId, id, kind, record, reason, ttlMs, maxEntries. Reply: 1 when it was moved, 0 when it had left the stream already.
 */
export const QUARANTINE_SCRIPT = defineScript({
  name: 'outboxQuarantine',
  keys: ['outbox', 'quarantine'],
  lua: `
if redis.call('XDEL', outboxKey, ARGV[1]) == 0 then return 0 end
redis.call('XADD', quarantineKey, 'MAXLEN', ARGV[7], '*', 'id', ARGV[2], 'kind', ARGV[3], 'e', ARGV[4], 'reason', ARGV[5])
redis.call('PEXPIRE', quarantineKey, ARGV[6])
return 1
`,
});

/**
 * Ends a stream that is empty; what came meanwhile keeps it. The ids stay for a while, so that an owner that sends everything
 * once more finds its entries known.
 *
 * ARGV idsTtlMs. Reply: 1 when the stream is gone.
 */
export const FINISH_SCRIPT = defineScript({
  name: 'outboxFinish',
  keys: ['outbox', 'outboxIds'],
  lua: `
if redis.call('XLEN', outboxKey) > 0 then return 0 end
redis.call('DEL', outboxKey)
redis.call('PEXPIRE', outboxIdsKey, ARGV[1])
return 1
`,
});
