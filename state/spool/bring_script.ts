import { defineScript } from '../redis/script.ts';

/**
 * Appends spooled records to a call's outbox, whoever owns the call now: the archive tells repeated ones by their ids, and two
 * owners' records of one id are kept beside each other. What was ever appended is not appended again. Replies how many were new.
 *
 * ARGV outboxTtlMs, (dedupe, id, kind, record) x n
 */
export const BRING_SCRIPT = defineScript({
  name: 'spoolBring',
  keys: ['outbox', 'outboxIds'],
  lua: `
local new = 0
for at = 2, #ARGV, 4 do
  if redis.call('SADD', outboxIdsKey, ARGV[at]) == 1 then
    redis.call('XADD', outboxKey, '*', 'id', ARGV[at + 1], 'kind', ARGV[at + 2], 'e', ARGV[at + 3])
    new = new + 1
  end
end
redis.call('PEXPIRE', outboxKey, ARGV[1])
redis.call('PEXPIRE', outboxIdsKey, ARGV[1])
return new
`,
});
