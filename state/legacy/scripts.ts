import { defineScript } from '../redis/script.ts';

/**
 * One flat key as it stands now, whatever its type. Alone in its slot: the flat keys of one call share none.
 * Nothing over the bounds leaves the server.
 *
 * ARGV maxBytes, maxItems. Reply: `none` | `type`, name | `large`, bytes or items | `hash`, bytes, fields and values in turn |
 * `string`, bytes, text | `list`, bytes, items.
 */
export const READ_LEGACY_SCRIPT = defineScript({
  name: 'legacyRead',
  keys: ['legacy'],
  lua: `
local kind = redis.call('TYPE', legacyKey).ok
local maxBytes, maxItems = tonumber(ARGV[1]), tonumber(ARGV[2])
if kind == 'none' then return {'none'} end
if kind == 'string' then
  local bytes = redis.call('STRLEN', legacyKey)
  if bytes > maxBytes then return {'large', bytes} end
  return {'string', bytes, redis.call('GET', legacyKey)}
end
if kind == 'hash' then
  if redis.call('HLEN', legacyKey) > maxItems then return {'large', redis.call('HLEN', legacyKey)} end
  local bytes = 0
  for _, field in ipairs(redis.call('HKEYS', legacyKey)) do bytes = bytes + #field + redis.call('HSTRLEN', legacyKey, field) end
  if bytes > maxBytes then return {'large', bytes} end
  return {'hash', bytes, redis.call('HGETALL', legacyKey)}
end
if kind == 'list' then
  local length = redis.call('LLEN', legacyKey)
  if length > maxItems then return {'large', length} end
  local bytes, items = 0, {}
  for from = 0, length - 1, 100 do
    for _, item in ipairs(redis.call('LRANGE', legacyKey, from, from + 99)) do
      bytes = bytes + #item
      if bytes > maxBytes then return {'large', bytes} end
      items[#items + 1] = item
    end
  end
  return {'list', bytes, items}
end
return {'type', kind}
`,
});

/**
 * Gives a flat key that was migrated the grace time, once: a TTL that it has is neither prolonged nor shortened.
 * By hand instead of EXPIRE NX, which servers before 7.0 do not have.
 *
 * ARGV graceMs. Reply: 1 when it got a TTL now, 0 when it had one or is gone.
 */
export const RETIRE_LEGACY_SCRIPT = defineScript({
  name: 'legacyRetire',
  keys: ['legacy'],
  lua: `
if redis.call('PTTL', legacyKey) ~= -1 then return 0 end
return redis.call('PEXPIRE', legacyKey, ARGV[1])
`,
});

const APPEND = `
local function append(at, entries)
  for _ = 1, entries do
    if redis.call('SADD', outboxIdsKey, ARGV[at]) == 1 then
      redis.call('XADD', outboxKey, '*', 'id', ARGV[at + 1], 'kind', ARGV[at + 2], 'e', ARGV[at + 3])
    end
    at = at + 4
  end
  if entries > 0 then
    redis.call('PEXPIRE', outboxKey, outboxMs)
    redis.call('PEXPIRE', outboxIdsKey, outboxMs)
  end
end
`;

/**
 * Records of a conversation that is about to be migrated, a bounded number at a time, so that a long history never holds the server up.
 * Repeating it changes nothing. Refused once the call has a record.
 *
 * ARGV outboxTtlMs, n, (dedupe, id, kind, record) x n. Reply: `appended` | `exists`.
 */
export const APPEND_LEGACY_SCRIPT = defineScript({
  name: 'legacyAppend',
  keys: ['session', 'outbox', 'outboxIds'],
  lua: `
if redis.call('HEXISTS', sessionKey, '_record') == 1 then return 'exists' end
local outboxMs = ARGV[1]
${APPEND}
append(3, tonumber(ARGV[2]))
return 'appended'
`,
});

/**
 * The migration itself, in the call's slot, all or nothing. Refused when the call has a record, and when an owner has gone on with it
 * since (\`seq\` of the fence record is beyond what is migrated): then its records have expired, and the old state must not come back.
 * The history stream gets the newest entries only; all of them were appended to the outbox before or are in this step.
 * The session is a hash whose field `_record` is ours, as the checkpoint writes it.
 *
 * ARGV sessionTtlMs, contextTtlMs, historyTtlMs, outboxTtlMs, lastSeq, session, context, recording, participants, mediaStream,
 *      n, (seq, record) x n, m, (dedupe, id, kind, record) x m. An empty text means: no such record.
 * Reply: `written` | `exists` | `continued`; the fence of an owner, 0 without; and how many keys of the call and of the conversation are new.
 */
export const MIGRATE_LEGACY_SCRIPT = defineScript({
  name: 'legacyMigrate',
  keys: ['owner', 'session', 'context', 'history', 'outbox', 'outboxIds', 'recording', 'participants', 'mediaStream'],
  lua: `
local owner = redis.call('HMGET', ownerKey, 'fence', 'seq')
local fence = tonumber(owner[1] or 0)
if redis.call('HEXISTS', sessionKey, '_record') == 1 then return {'exists', fence} end
if tonumber(owner[2] or 0) > tonumber(ARGV[5]) then return {'continued', fence} end
local function count()
  return redis.call('EXISTS', sessionKey, outboxKey, outboxIdsKey, recordingKey, participantsKey, mediaStreamKey),
    redis.call('EXISTS', contextKey, historyKey)
end
local callBefore, conversationBefore = count()
-- First a write that a full server refuses: it judges memory once, at the start of a script, and would still let DEL through.
redis.call('HSET', sessionKey, '_record', ARGV[6])
redis.call('PEXPIRE', sessionKey, ARGV[1])
redis.call('SET', contextKey, ARGV[7], 'PX', ARGV[2])
for i, key in ipairs({recordingKey, participantsKey, mediaStreamKey}) do
  if ARGV[7 + i] ~= '' then redis.call('SET', key, ARGV[7 + i], 'PX', ARGV[1]) end
end
redis.call('DEL', historyKey)
local at, entries = 12, tonumber(ARGV[11])
for _ = 1, entries do
  redis.call('XADD', historyKey, ARGV[at] .. '-0', 'e', ARGV[at + 1])
  at = at + 2
end
if entries > 0 then redis.call('PEXPIRE', historyKey, ARGV[3]) end
local outboxMs = ARGV[4]
${APPEND}
append(at + 1, tonumber(ARGV[at]))
local callAfter, conversationAfter = count()
return {'written', fence, callAfter - callBefore, conversationAfter - conversationBefore}
`,
});

/**
 * Enters a migrated conversation that nobody owns into the pool's index of unsent calls, in the pool's slot, so that an archiver drains
 * its stream and ends it. The score is Redis' time, as for every other call.
 *
 * ARGV callRef, callConnectionId, ttlMs.
 */
export const ENTER_UNSENT_SCRIPT = defineScript({
  name: 'legacyUnsent',
  keys: ['unsent', 'unsentCalls'],
  lua: `
local time = redis.call('TIME')
redis.call('ZADD', unsentKey, 'NX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('HSET', unsentCallsKey, ARGV[1], ARGV[2])
for _, key in ipairs({unsentKey, unsentCallsKey}) do
  -- Never shorter than it is: other calls of the pool stand in it.
  if redis.call('PTTL', key) < tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
end
return 1
`,
});
