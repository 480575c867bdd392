import { defineScript } from '../redis/script.ts';

/**
 * A call's session is one hash: fields of applications, and the owner's record under a name that no application field can have.
 * `_app` keeps a session of no fields in being.
 * The owner's TTL is never shortened: its record lives in the same key.
 */
const EXTEND = `
local function keep(ttl)
  if redis.call('HEXISTS', sessionKey, '_record') == 1 and redis.call('PTTL', sessionKey) > ttl then return end
  redis.call('PEXPIRE', sessionKey, ttl)
end
`;

/** Replaces the application's fields. ARGV ttlMs, (field, value) x n */
export const STORE_SESSION = defineScript({
  name: 'sessionStore',
  keys: ['session'],
  lua: `${EXTEND}
local created = redis.call('EXISTS', sessionKey) == 0
redis.call('HSET', sessionKey, '_app', '1')
local given = { _app = true, _record = true }
for at = 2, #ARGV, 2 do
  given[ARGV[at]] = true
  redis.call('HSET', sessionKey, ARGV[at], ARGV[at + 1])
end
for _, field in ipairs(redis.call('HKEYS', sessionKey)) do
  if not given[field] then redis.call('HDEL', sessionKey, field) end
end
keep(tonumber(ARGV[1]))
return created and 1 or 0
`,
});

/** Sets or, without a value, removes one field of a session that exists; 0 when it does not. ARGV ttlMs or '', maxFields, field, value or none */
export const CHANGE_SESSION_FIELD = defineScript({
  name: 'sessionField',
  keys: ['session'],
  lua: `${EXTEND}
if redis.call('EXISTS', sessionKey) == 0 then return 0 end
if #ARGV == 4 then
  local own = redis.call('HEXISTS', sessionKey, '_record') + redis.call('HEXISTS', sessionKey, '_app')
  local fields = redis.call('HLEN', sessionKey) - own
  if fields >= tonumber(ARGV[2]) and redis.call('HEXISTS', sessionKey, ARGV[3]) == 0 then return -1 end
  redis.call('HSET', sessionKey, ARGV[3], ARGV[4])
else
  redis.call('HDEL', sessionKey, ARGV[3])
end
if ARGV[1] ~= '' then keep(tonumber(ARGV[1])) end
return 1
`,
});

/** A conversation's context may be written from outside only while no worker owns the call. ARGV ttlMs, value */
export const STORE_UNOWNED_CONTEXT = defineScript({
  name: 'contextStoreUnowned',
  keys: ['context', 'fence'],
  lua: `
if redis.call('EXISTS', fenceKey) == 1 then return 0 end
redis.call('SET', contextKey, ARGV[2], 'PX', ARGV[1])
return 1
`,
});

/** Extends a key's time to live, and never shortens it; -2 when the key is gone. ARGV ttlMs */
export const EXTEND_TTL = defineScript({
  name: 'ttlExtend',
  keys: ['record'],
  lua: `
local left = redis.call('PTTL', recordKey)
if left == -2 then return -2 end
local wanted = tonumber(ARGV[1])
if left >= wanted then return left end
redis.call('PEXPIRE', recordKey, wanted)
return wanted
`,
});
