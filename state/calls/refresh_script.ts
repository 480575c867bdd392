import { defineScript } from '../redis/script.ts';

/**
 * Extends a live call's keys. `missing` tells the owner that Redis has lost some of them, so that it writes everything again.
 *
 * ARGV fence, incarnation, ownerTtlMs, sessionTtlMs, contextTtlMs, historyTtlMs, outboxTtlMs
 */
export const REFRESH_SCRIPT = defineScript({
  name: 'callRefresh',
  keys: ['owner', 'session', 'context', 'history', 'outbox', 'outboxIds'],
  lua: `
local owner = redis.call('HMGET', ownerKey, 'fence', 'incarnation', 'seq')
if not owner[1] then return 'missing' end
local stored, fence = tonumber(owner[1]), tonumber(ARGV[1])
if stored > fence or (stored == fence and owner[2] ~= ARGV[2]) then return 'fenced' end
if stored < fence then return 'missing' end
local found = {}
for i = 1, 5 do found[i] = redis.call('PEXPIRE', KEYS[i], ARGV[2 + i]) end
redis.call('PEXPIRE', outboxIdsKey, ARGV[7])
if found[2] == 0 or found[3] == 0 then return 'missing' end
if tonumber(owner[3] or 0) > 0 and found[4] == 0 then return 'missing' end
return 'refreshed'
`,
});
