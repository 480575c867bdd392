import type { Fragment } from '../redis/script.ts';
import type { LeaseTimes } from './times.ts';

/**
 * Lua that the lease scripts share. What the pool's keys hold:
 *
 * | key | type | content |
 * |---|---|---|
 * | leases | hash | call ref -> lease, fields joined by newlines, the ring's JSON last |
 * | owned | sorted set, all scores 0 | `<worker> <callRef>` of every lease that counts: a worker's load by ZLEXCOUNT |
 * | lapsed | sorted set, all scores 0 | the same of every expired lease |
 * | expiry | sorted set | the same member -> expiry |
 * | purge | sorted set | the same member of a lapsed lease, or `E <ringId>` of an ended call -> when it is forgotten |
 * | rings | hash | ring id -> call ref, or `E <callRef> <fence>` once ended |
 * | fences | string | highest fence seen in a re-assertion |
 * | index | sorted set | worker -> load / slots in millionths, while it admits and has a free slot |
 * | workers | hash | worker -> `<beat> <slots> <flags> <incarnation> <renewed> <endpoint>` |
 * | beats | sorted set | worker -> last heartbeat |
 * | unsent, unsentCalls | sorted set, hash | call ref -> time of placement; call ref -> callConnectionId |
 * | epoch | string | present while leases are renewed: `<when seal ran last> <fence floor>` |
 * | refusals | list | newest first: `<at> <ring id> <refused placements so far> <excluded, joined by commas>` and one line for each candidate |
 * | recovery | string | `<noticed> <last sign of a worker>` |
 *
 * Worker flags: A the controller lets it admit, H it admits by itself, R it was away with leases and must renew first.
 */
export function constants(times: LeaseTimes): Fragment {
  return {
    keys: [],
    lua: `
local LEASE_MS, RINGING_MS, BEAT_MS, RECOVERY_MS = ${times.leaseMs}, ${times.ringingMs}, ${times.heartbeatMs}, ${times.recoveryMs}
local LONGEST_MS, OUTCOME_MS, UNSENT_MS, YOUNG_MS = ${times.longestCallMs}, ${times.ringOutcomeMs}, ${times.unsentMs}, ${times.unheldAfterMs}
local AFFINITY_MS, INBOX_MS = ${times.affinityMs}, ${times.inboxMs}
local SEAL_PERIOD_MS = ${Math.min(60_000, Math.floor(times.longestCallMs / 4))}
`,
  };
}

export const clock: Fragment = {
  keys: [],
  lua: `
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`,
};

/**
 * Every index key is kept in being by a member that no script removes (an empty name), so that a TTL once set stays:
 * `seal` writes that member and the TTL of all of them. It runs when the pool opens, whenever a script writes while the
 * epoch is missing, and once a minute from a renewal; so a script that finds the epoch may write without setting TTLs again.
 */
export const seal: Fragment = {
  keys: [
    'epoch',
    'leases',
    'owned',
    'lapsed',
    'expiry',
    'purge',
    'rings',
    'fences',
    'index',
    'workers',
    'beats',
    'unsent',
    'unsentCalls',
  ],
  lua: `
local function seal()
  -- Twice the longest call: lapsed leases live that long by themselves and need a key around them for all of it.
  local ttl = LONGEST_MS * 2 + OUTCOME_MS
  for _, key in ipairs({ leasesKey, ringsKey, workersKey }) do
    call('HSET', key, '', '')
    call('PEXPIRE', key, ttl)
  end
  for _, key in ipairs({ ownedKey, lapsedKey }) do
    call('ZADD', key, 0, '')
    call('PEXPIRE', key, ttl)
  end
  for _, key in ipairs({ expiryKey, purgeKey, beatsKey }) do
    call('ZADD', key, '+inf', '')
    call('PEXPIRE', key, ttl)
  end
  call('ZADD', indexKey, -1, '')
  call('PEXPIRE', indexKey, ttl)
  call('PEXPIRE', fencesKey, ttl)
  call('ZADD', unsentKey, '+inf', '')
  call('PEXPIRE', unsentKey, UNSENT_MS + ttl)
  call('HSET', unsentCallsKey, '', '')
  call('PEXPIRE', unsentCallsKey, UNSENT_MS + ttl)
end
`,
};

/** RECOVERING: the epoch is missing, so owners re-assert before anybody places or takes over. */
export const recovery: Fragment = {
  keys: ['epoch', 'recovery', 'fences'],
  lua: `
local epoch = call('GET', epochKey)
-- The epoch carries a copy of the floor, so that a placement need not read it.
local function raise_floor(floor)
  call('SET', fencesKey, string.format('%.0f', floor), 'PX', LONGEST_MS * 2 + OUTCOME_MS)
  if epoch then
    epoch = string.format('%s %.0f', string.match(epoch, '^%d+'), floor)
    call('SET', epochKey, epoch, 'KEEPTTL')
  end
end
local function open_pool()
  seal()
  epoch = string.format('%.0f %s', now, call('GET', fencesKey) or '0')
  call('SET', epochKey, epoch, 'PX', LEASE_MS)
  call('DEL', recoveryKey)
end
-- sign: a worker speaks. Silence of all workers in the middle of a recovery means Redis was away again: it starts anew.
local function recovering(sign)
  if epoch then return false end
  local noticed, last = now, 0
  local record = call('GET', recoveryKey)
  if record then
    local n, l = string.match(record, '^(%d+) (%d+)$')
    noticed, last = tonumber(n), tonumber(l)
    if last > 0 and now - last > BEAT_MS then noticed = now end
    if now - noticed >= RECOVERY_MS then
      open_pool()
      return false
    end
  end
  if sign then last = now end
  call('SET', recoveryKey, string.format('%.0f %.0f', noticed, last), 'PX', RECOVERY_MS * 10)
  return true
end
`,
};

/** Reading and writing one lease; `state` is r (ringing) or a (answered). */
export const leases: Fragment = {
  keys: ['leases', 'owned', 'lapsed', 'expiry', 'purge'],
  lua: `
local LEASE = '^(%d+)\\n([^\\n]*)\\n([^\\n]*)\\n(%a)\\n([^\\n]*)\\n(%d+)\\n(%d+)\\n([^\\n]*)\\n(.*)$'
local LEASE_HEAD = '^(%d+)\\n([^\\n]*)\\n([^\\n]*)\\n(%a)\\n([^\\n]*)\\n(%d+)\\n(%d+)\\n'
local function number_text(number) return string.format('%.0f', number) end
local function write_lease(ref, fence, worker, incarnation, state, connection, placed, since, ring_id, ring)
  call('HSET', leasesKey, ref, table.concat({ number_text(fence), worker, incarnation, state, connection,
    number_text(placed), number_text(since), ring_id, ring }, '\\n'))
end
-- After a loss of data (floor above 0) a number that was given before it may be unknown here. Redis' own time in milliseconds is above
-- every such number and is never given twice.
local function next_fence(floor, known)
  local fence = math.max(floor, known) + 1
  return floor > 0 and math.max(fence, now) or fence
end
-- The member leaves every index; the caller writes or removes the lease itself.
local function unlink(member)
  call('ZREM', ownedKey, member)
  call('ZREM', lapsedKey, member)
  call('ZREM', expiryKey, member)
  call('ZREM', purgeKey, member)
end
local function link(member, expires)
  call('ZADD', ownedKey, 0, member)
  call('ZADD', expiryKey, expires, member)
  call('ZREM', lapsedKey, member)
  call('ZREM', purgeKey, member)
end
-- What the client turns into a lease: call ref, record, expiry. A lapsed lease's expiry follows from its purge time.
local function lease_reply(ref, value, worker)
  local member = worker .. ' ' .. ref
  local expires = call('ZSCORE', expiryKey, member)
  if not expires then
    local purge = call('ZSCORE', purgeKey, member)
    expires = purge and number_text(tonumber(purge) - LONGEST_MS) or '0'
  end
  return { ref, value, expires }
end
`,
};

/** A worker's load is counted from its leases each time, so that it cannot drift; the index follows from it. */
export const load: Fragment = {
  keys: ['owned', 'index', 'workers'],
  lua: `
local WORKER = '^(%d+) (%d+) (%a*) (%S*) (%d+) (%S*)$'
local function load_of(worker)
  return call('ZLEXCOUNT', ownedKey, '[' .. worker .. ' ', '(' .. worker .. '!')
end
local function rank(worker, load, slots, flags)
  if flags == 'AH' and load < slots then
    call('ZADD', indexKey, math.floor(load * 1000000 / slots), worker)
  else
    call('ZREM', indexKey, worker)
  end
end
local function reindex(worker)
  local record = call('HGET', workersKey, worker)
  if not record then return call('ZREM', indexKey, worker) end
  local _, slots, flags = string.match(record, WORKER)
  rank(worker, load_of(worker), tonumber(slots), flags)
end
`,
};

/** Expired leases stop counting; they stay readable until they are purged. */
export const retire: Fragment = {
  keys: ['expiry', 'owned', 'lapsed', 'purge'],
  lua: `
local function retire(limit)
  local due = call('ZRANGEBYSCORE', expiryKey, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
  if #due == 0 then return end
  local workers = {}
  for i = 1, #due, 2 do
    local member = due[i]
    call('ZREM', expiryKey, member)
    call('ZREM', ownedKey, member)
    call('ZADD', lapsedKey, 0, member)
    call('ZADD', purgeKey, due[i + 1] + LONGEST_MS, member)
    workers[string.match(member, '^%S+')] = true
  end
  for worker in pairs(workers) do reindex(worker) end
end
`,
};

/** An ended ring keeps its outcome for a while; a lapsed lease goes after the longest call. */
export const purge: Fragment = {
  keys: ['leases', 'owned', 'lapsed', 'expiry', 'purge', 'rings'],
  lua: `
local function end_ring(ring_id, ref, fence)
  call('HSET', ringsKey, ring_id, 'E ' .. ref .. ' ' .. fence)
  call('ZADD', purgeKey, now + OUTCOME_MS, 'E ' .. ring_id)
end
local function purge(limit)
  for _, member in ipairs(call('ZRANGEBYSCORE', purgeKey, '-inf', now, 'LIMIT', 0, limit)) do
    local owner, name = string.match(member, '^(%S+) (.*)$')
    if owner == 'E' then
      call('ZREM', purgeKey, member)
      call('HDEL', ringsKey, name)
    else
      local value = call('HGET', leasesKey, name)
      unlink(member)
      if value then
        local fence, worker, _, _, _, _, _, ring_id = string.match(value, LEASE)
        if worker == owner then
          call('HDEL', leasesKey, name)
          end_ring(ring_id, name, fence)
        end
      end
    end
  end
end
`,
};
