import { defineScript } from '../redis/script.ts';

/**
 * Takeover, step two: raises the call's fence and returns its state, so that nothing can be written between the two.
 * A record of a breaking version that this release cannot read refuses the claim before the fence moves.
 *
 * ARGV fence, incarnation, format, ownerTtlMs, sessionTtlMs, contextTtlMs, historyTtlMs, outboxTtlMs, outboxLimit
 */
export const CLAIM_SCRIPT = defineScript({
  name: 'callClaim',
  keys: ['owner', 'session', 'context', 'history', 'outbox', 'quarantine'],
  lua: `
local owner = redis.call('HMGET', ownerKey, 'fence', 'incarnation', 'format', 'writeId')
if tonumber(owner[3] or 0) > tonumber(ARGV[3]) then return {'format', tonumber(owner[3])} end
local stored, fence = tonumber(owner[1] or 0), tonumber(ARGV[1])
if stored > fence or (stored == fence and owner[2] ~= ARGV[2]) then return {'refused', stored} end
local writeId = tonumber(owner[4] or 0)
if stored < fence then
  writeId = 0
  redis.call('HSET', ownerKey, 'fence', ARGV[1], 'incarnation', ARGV[2], 'writeId', '0', 'format', ARGV[3])
end
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[3 + i]) end
return {
  'claimed', writeId, redis.call('HGET', sessionKey, '_record'), redis.call('GET', contextKey),
  redis.call('XRANGE', historyKey, '-', '+'), redis.call('XRANGE', outboxKey, '-', '+', 'COUNT', ARGV[9]),
  redis.call('XRANGE', quarantineKey, '-', '+', 'COUNT', ARGV[9])
}
`,
});
