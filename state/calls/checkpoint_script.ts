import { defineScript } from '../redis/script.ts';

/**
 * One turn's state in one step, all or nothing. Refused for an older fence, the same fence from another incarnation, and a newer
 * fence that has not claimed (it cannot know what the older one wrote). A (fence, writeId) that was applied changes nothing.
 *
 * History is a stream whose ids are the sequence numbers: order and uniqueness are the server's. `priorSeq` is what the writer
 * believes Redis holds: less than that means Redis has lost data, and the writer sends everything (`replace`).
 * History is trimmed to `maxHistory` entries, but never past the newest turn that has stood in the outbox.
 * The session is a hash: the owner's record is one field of it, beside those that applications add (AsyncAzureRedisManager).
 * An empty context stands for the one that Redis has; should it have none, data were lost here too.
 * `outboxIds` remembers what was ever appended, so that an entry sent again after the archiver took it is not written twice.
 *
 * ARGV fence, incarnation, writeId, format, ownerTtlMs, sessionTtlMs, contextTtlMs, historyTtlMs, outboxTtlMs, summaryTtlMs,
 *      maxHistory, turnSeq, replace, priorSeq, session, context, summary, n, (seq, record) x n, m, (dedupe, id, kind, record) x m
 */
export const CHECKPOINT_SCRIPT = defineScript({
  name: 'callCheckpoint',
  keys: ['owner', 'session', 'context', 'history', 'outbox', 'outboxIds', 'summary'],
  lua: `
local owner = redis.call('HMGET', ownerKey, 'fence', 'incarnation', 'writeId', 'format', 'turnSeq')
if tonumber(owner[4] or 0) > tonumber(ARGV[4]) then return {'format', tonumber(owner[4])} end
local stored, fence = tonumber(owner[1] or 0), tonumber(ARGV[1])
if stored > fence or (stored == fence and owner[2] ~= ARGV[2]) then return {'fenced', stored} end
if stored > 0 and stored < fence then return {'unclaimed', stored} end
if stored == fence and tonumber(ARGV[3]) <= tonumber(owner[3] or 0) then return {'repeated', tonumber(owner[3])} end

local replace = ARGV[13] == '1'
local kept = ARGV[16] == ''
local last = 0
if not replace then
  local newest = redis.call('XREVRANGE', historyKey, '+', '-', 'COUNT', 1)
  if newest[1] then last = tonumber(string.match(newest[1][1], '^%d+')) end
  if last < tonumber(ARGV[14]) or (kept and redis.call('EXISTS', contextKey) == 0) then return {'gap', last} end
end

local function count()
  return redis.call('EXISTS', ownerKey, sessionKey, outboxKey, outboxIdsKey, summaryKey), redis.call('EXISTS', contextKey, historyKey)
end
local callBefore, conversationBefore = count()
-- First a write that a full server refuses: it judges memory once, at the start of a script, and would still let DEL through.
redis.call('HSET', sessionKey, '_record', ARGV[15])
redis.call('PEXPIRE', sessionKey, ARGV[6])
if kept then redis.call('PEXPIRE', contextKey, ARGV[7]) else redis.call('SET', contextKey, ARGV[16], 'PX', ARGV[7]) end
if replace then redis.call('DEL', historyKey) end
local at = 19
for _ = 1, tonumber(ARGV[18]) do
  local seq = tonumber(ARGV[at])
  if seq > last then
    redis.call('XADD', historyKey, ARGV[at] .. '-0', 'e', ARGV[at + 1])
    last = seq
  end
  at = at + 2
end
local entries = tonumber(ARGV[at])
at = at + 1
for _ = 1, entries do
  if redis.call('SADD', outboxIdsKey, ARGV[at]) == 1 then
    redis.call('XADD', outboxKey, '*', 'id', ARGV[at + 1], 'kind', ARGV[at + 2], 'e', ARGV[at + 3])
  end
  at = at + 4
end
local turnSeq = math.max(tonumber(owner[5] or 0), tonumber(ARGV[12]))
local keepFrom = math.min(last - tonumber(ARGV[11]) + 1, turnSeq + 1)
if keepFrom > 1 then redis.call('XTRIM', historyKey, 'MINID', string.format('%d', keepFrom)) end

if ARGV[17] ~= '' then redis.call('SET', summaryKey, ARGV[17], 'PX', ARGV[10]) end
redis.call('HSET', ownerKey, 'fence', ARGV[1], 'incarnation', ARGV[2], 'writeId', ARGV[3], 'format', ARGV[4],
  'seq', string.format('%d', last), 'turnSeq', string.format('%d', turnSeq))
redis.call('PEXPIRE', ownerKey, ARGV[5])
redis.call('PEXPIRE', historyKey, ARGV[8])
redis.call('PEXPIRE', outboxKey, ARGV[9])
redis.call('PEXPIRE', outboxIdsKey, ARGV[9])
local callAfter, conversationAfter = count()
return {'written', stored, callAfter - callBefore, conversationAfter - conversationBefore}
`,
});
