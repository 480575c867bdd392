import { defineScript, type Fragment, type Script } from '../../redis/script.ts';
import { clock, constants, leases, load, purge, recovery, retire, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

/** Leases in each list of a reply, and dead workers that one renewal looks at. */
const LIST_LIMIT = 16;
const DEAD_LIMIT = 4;

const searches: Fragment = {
  keys: ['leases', 'owned', 'lapsed', 'beats', 'workers', 'index'],
  lua: `
-- Leases of this worker that it did not name. The scan is bounded by what it named and a few more.
local function find_unheld(worker, named, named_count)
  local unheld = {}
  local from, to = '[' .. worker .. ' ', '(' .. worker .. '!'
  local lapsed = call('ZRANGEBYLEX', lapsedKey, from, to, 'LIMIT', 0, ${LIST_LIMIT * 4})
  if #lapsed == 0 and call('ZLEXCOUNT', ownedKey, from, to) <= named_count then return unheld end
  local members = call('ZRANGEBYLEX', ownedKey, from, to, 'LIMIT', 0, named_count + ${LIST_LIMIT * 4})
  for _, member in ipairs(lapsed) do members[#members + 1] = member end
  for _, member in ipairs(members) do
    local ref = string.sub(member, #worker + 2)
    local value = not named[ref] and call('HGET', leasesKey, ref)
    if value then
      local _, _, _, state, _, _, since = string.match(value, LEASE_HEAD)
      -- A ring whose time is over cannot be answered any more.
      local rang_out = state == 'r' and call('ZSCORE', lapsedKey, member)
      if now - since > YOUNG_MS and not rang_out then unheld[#unheld + 1] = lease_reply(ref, value, worker) end
      if #unheld == ${LIST_LIMIT} then break end
    end
  end
  return unheld
end
-- Leases of workers without a heartbeat. Each renewal begins at another dead worker, so that none hides the rest.
local function find_abandoned(turn, self)
  local rings, orphans = {}, {}
  local last = now - BEAT_MS
  local dead = call('ZCOUNT', beatsKey, '-inf', '(' .. last)
  if dead == 0 then return rings, orphans end
  local start = turn % math.max(1, dead - ${DEAD_LIMIT} + 1)
  for _, worker in ipairs(call('ZRANGEBYSCORE', beatsKey, '-inf', '(' .. last, 'LIMIT', start, ${DEAD_LIMIT})) do
    local from, to = '[' .. worker .. ' ', '(' .. worker .. '!'
    local members = {}
    if worker ~= self then
      members = call('ZRANGEBYLEX', ownedKey, from, to, 'LIMIT', 0, ${LIST_LIMIT})
      for _, member in ipairs(call('ZRANGEBYLEX', lapsedKey, from, to, 'LIMIT', 0, ${LIST_LIMIT})) do members[#members + 1] = member end
    end
    if #members == 0 and worker ~= self then
      call('ZREM', beatsKey, worker)
      call('HDEL', workersKey, worker)
      call('ZREM', indexKey, worker)
    end
    for _, member in ipairs(members) do
      local ref = string.sub(member, #worker + 2)
      local value = call('HGET', leasesKey, ref)
      if value then
        local _, _, _, state = string.match(value, LEASE_HEAD)
        local list = state == 'r' and rings or orphans
        local rang_out = state == 'r' and call('ZSCORE', lapsedKey, member)
        if #list < ${LIST_LIMIT} and not rang_out then list[#list + 1] = lease_reply(ref, value, worker) end
      end
    end
  end
  return rings, orphans
end
`,
};

/**
 * Extends the leases that a worker names. Promises: only a lease under the same fence and incarnation is extended; a lapsed one counts again;
 * what Redis does not have, or has under an older fence, is told as missing (the client writes it again by `reassert`); every list is bounded.
 *
 * ARGV: worker, incarnation, a random number, then call ref, fence, callConnectionId or empty of each held lease.
 * Reply: recovering (1 or 0), lost {ref, fence, worker}..., missing refs, unheld, stranded rings, orphans.
 */
export function renewScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'renew',
    keys: ['unsentCalls', 'unsent', 'drains'],
    uses: [constants(times), clock, seal, recovery, leases, load, retire, purge, searches],
    lua: `
local worker, incarnation = ARGV[1], ARGV[2]
local is_recovering = recovering(true)
if not is_recovering then
  if now - string.match(epoch, '^%d+') > SEAL_PERIOD_MS then
    open_pool()
    -- Their streams have expired too; the alert on the oldest unsent record fires days before.
    for _, ref in ipairs(call('ZRANGEBYSCORE', unsentKey, '-inf', now - UNSENT_MS, 'LIMIT', 0, 256)) do
      call('ZREM', unsentKey, ref)
      call('HDEL', unsentCallsKey, ref)
      call('HDEL', drainsKey, ref)
    end
  else
    call('PEXPIRE', epochKey, LEASE_MS)
  end
else
  seal()
end
retire(32)
purge(32)

local lost, missing, named, mine, expiries = {}, {}, {}, {}, {}
for i = 4, #ARGV, 3 do
  local ref, fence, connection = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  named[ref] = true
  local value = call('HGET', leasesKey, ref)
  if not value then
    missing[#missing + 1] = ref
  else
    local stored_fence, owner, owner_incarnation, state, stored_connection = string.match(value, LEASE_HEAD)
    if stored_fence == fence and owner_incarnation == incarnation and owner == worker then
      local member = worker .. ' ' .. ref
      mine[#mine + 1] = member
      expiries[#expiries + 1] = now + LEASE_MS
      expiries[#expiries + 1] = member
      if connection ~= '' and connection ~= stored_connection then
        local f, _, _, _, _, placed, since, ring_id, ring = string.match(value, LEASE)
        write_lease(ref, f, worker, incarnation, 'a', connection, placed, since, ring_id, ring)
        call('HSET', unsentCallsKey, ref, connection)
      end
    elseif tonumber(stored_fence) >= tonumber(fence) then
      lost[#lost + 1] = { ref, stored_fence, owner }
    else
      missing[#missing + 1] = ref
    end
  end
end
-- GT: a ringing lease keeps its ring time.
for i = 1, #expiries, 1000 do call('ZADD', expiryKey, 'GT', unpack(expiries, i, math.min(i + 999, #expiries))) end
if call('ZLEXCOUNT', lapsedKey, '[' .. worker .. ' ', '(' .. worker .. '!') > 0 then
  for i = 1, #mine, 1000 do
    local last = math.min(i + 999, #mine)
    call('ZREM', lapsedKey, unpack(mine, i, last))
    call('ZREM', purgeKey, unpack(mine, i, last))
    for j = i, last do call('ZADD', ownedKey, 0, mine[j]) end
  end
end

-- Without a heartbeat on record this worker's leases would never be found after its death.
call('ZADD', beatsKey, 'NX', now, worker)
local record = call('HGET', workersKey, worker) or '0 0   0 '
do
  local beat, slots, flags, known, _, endpoint = string.match(record, WORKER)
  if known == '' or known == incarnation then flags = string.gsub(flags, 'R', '') end
  call('HSET', workersKey, worker, string.format('%s %s %s %s %.0f %s', beat, slots, flags, known, now, endpoint))
end
reindex(worker)
local unheld = find_unheld(worker, named, #mine)
local rings, orphans = find_abandoned(tonumber(ARGV[3]), worker)
return { is_recovering and 1 or 0, lost, missing, unheld, rings, orphans }
`,
  });
}
