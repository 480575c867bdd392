import { defineScript, type Fragment, type Script } from '../../redis/script.ts';
import { clock, constants, leases, load, recovery, retire, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';
import { candidates, noteRefusal } from './explain.ts';

/** A dead worker costs one removal from the index, once; this bounds what one placement pays for others. */
const MAX_STALE = 1000;
/** Expired leases that one placement retires. */
const RETIRE_LIMIT = 8;

const choose: Fragment = {
  keys: ['index', 'workers'],
  lua: `
-- The index is a hint: heartbeat and load are checked again for the worker that is chosen, and a wrong entry is put right.
local function choose(pack, excluded)
  local skip, wrong = 0, 0
  while wrong < ${MAX_STALE} do
    -- Rank 0 is the member that keeps the index in being.
    local found = pack and call('ZREVRANGE', indexKey, skip, skip) or call('ZRANGE', indexKey, skip + 1, skip + 1)
    local worker = found[1]
    if not worker or worker == '' then return nil end
    if excluded[worker] then
      skip = skip + 1
    else
      local record = call('HGET', workersKey, worker)
      if record then
        local beat, slots, flags, incarnation, _, endpoint = string.match(record, WORKER)
        slots = tonumber(slots)
        if flags == 'AH' and now - beat <= BEAT_MS then
          local load = load_of(worker)
          if load < slots then return worker, incarnation, endpoint, load, slots end
        end
      end
      call('ZREM', indexKey, worker)
      wrong = wrong + 1
    end
  end
end
`,
};

/**
 * The common case of a placement in as few commands as it takes: the pool is open, no lease has expired, the ring is new and the first
 * worker of the index is good. Promises what `placeFully` promises; in any other case it writes nothing and says so.
 *
 * ARGV: ring id, ring JSON, new call ref, `P` (fullest first) or `S` (emptiest first).
 * Reply: nothing when it is not the common case, else fence, worker, incarnation, endpoint and now in one text: six texts cost the client
 * more time than the rest of the call.
 */
export function placeScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'place',
    keys: ['epoch', 'expiry', 'rings', 'index', 'workers', 'owned', 'leases', 'unsent'],
    uses: [constants(times), clock],
    lua: `
local now_text = string.format('%.0f', now)
local epoch = call('GET', epochKey)
if not epoch or call('ZRANGEBYSCORE', expiryKey, '-inf', now_text, 'LIMIT', '0', '1')[1] or call('HGET', ringsKey, ARGV[1]) then
  return false
end
local worker = (ARGV[4] == 'P' and call('ZREVRANGE', indexKey, '0', '0') or call('ZRANGE', indexKey, '1', '1'))[1]
local record = worker and call('HGET', workersKey, worker)
if not record then return false end
local beat, slots_text, flags, incarnation, endpoint = string.match(record, '^(%d+) (%d+) (%a*) (%S*) %d+ (%S*)$')
if flags ~= 'AH' or now - beat > BEAT_MS then return false end
local load, slots = call('ZLEXCOUNT', ownedKey, '[' .. worker .. ' ', '(' .. worker .. '!') + 1, tonumber(slots_text)
if load > slots then return false end

local ref, member = ARGV[3], worker .. ' ' .. ARGV[3]
local fence = string.format('%.0f', string.match(epoch, '%d+$') + 1)
call('HSET', leasesKey, ref, table.concat({ fence, worker, incarnation, 'r', '', now_text, now_text, ARGV[1], ARGV[2] }, '\\n'))
call('ZADD', ownedKey, '0', member)
call('ZADD', expiryKey, now + RINGING_MS, member)
call('HSET', ringsKey, ARGV[1], ref)
call('ZADD', unsentKey, 'NX', now_text, ref)
if load < slots then
  call('ZADD', indexKey, math.floor(load * 1000000 / slots), worker)
else
  call('ZREM', indexKey, worker)
end
return table.concat({ fence, worker, incarnation, endpoint, now_text }, ' ')
`,
  });
}

/**
 * Gives a ring to the best worker, whatever stands in the way. Promises: a ring id with an outcome gets the same answer again; nobody gets more leases than
 * slots; a call's fence is above every fence it had; nothing is written unless a worker was found (but for the count of refusals).
 *
 * ARGV: ring id, ring JSON, new call ref, `P` (fullest first) or `S` (emptiest first), call ref and fence to re-place or empty, excluded workers...
 * Reply: `recovering` | `full` | `ended` | `new`, fence, worker, incarnation, endpoint, placed at, ref, expires | `again`, ref, record, expires, endpoint.
 */
export function placeFullyScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'placeFully',
    keys: ['rings', 'fences', 'unsent', 'refused', 'refusals'],
    uses: [constants(times), clock, seal, recovery, leases, load, retire, choose, candidates, noteRefusal],
    lua: `
local ring_id, ring, ref, pack, replaced_ref, replaced_fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'P', ARGV[5], ARGV[6]
if recovering(false) then return { 'recovering' } end
retire(${RETIRE_LIMIT})

local outcome = call('HGET', ringsKey, ring_id)
if outcome and string.sub(outcome, 1, 2) == 'E ' then return { 'ended' } end
outcome = outcome or (replaced_ref ~= '' and replaced_ref)
local previous = outcome and call('HGET', leasesKey, outcome)
local floor = tonumber(call('GET', fencesKey) or 0)
local fence, old_worker, placed = floor + 1, nil, now
if previous then
  local held_fence, worker, _, state, _, placed_text = string.match(previous, LEASE_HEAD)
  if not (state == 'r' and outcome == replaced_ref and held_fence == replaced_fence) then
    local record = call('HGET', workersKey, worker)
    local endpoint = record and select(6, string.match(record, WORKER)) or ''
    local reply = lease_reply(outcome, previous, worker)
    return { 'again', reply[1], reply[2], reply[3], endpoint }
  end
  old_worker, placed = worker, tonumber(placed_text)
  fence = next_fence(floor, tonumber(held_fence))
elseif replaced_ref ~= '' then
  -- The lease was lost, and with it what fence it had come to.
  fence = math.max(next_fence(floor, tonumber(replaced_fence)), now)
  outcome = replaced_ref
else
  outcome = nil
end
if outcome then ref = outcome end

local excluded = {}
for i = 7, #ARGV do excluded[ARGV[i]] = true end
local worker, incarnation, endpoint, load, slots = choose(pack, excluded)
if not worker then
  local refused = call('INCR', refusedKey)
  call('PEXPIRE', refusedKey, LONGEST_MS)
  note_refusal(ring_id, refused, excluded)
  return { 'full' }
end

local member, expires = worker .. ' ' .. ref, now + RINGING_MS
if old_worker then
  unlink(old_worker .. ' ' .. ref)
  if old_worker == worker then load = load_of(worker) end
end
write_lease(ref, fence, worker, incarnation, 'r', '', placed, now, ring_id, ring)
call('ZADD', ownedKey, 0, member)
call('ZADD', expiryKey, expires, member)
call('HSET', ringsKey, ring_id, ref)
call('ZADD', unsentKey, 'NX', now, ref)
rank(worker, load + 1, slots, 'AH')
if old_worker and old_worker ~= worker then reindex(old_worker) end
return { 'new', number_text(fence), worker, incarnation, endpoint, number_text(placed), ref, number_text(expires) }
`,
  });
}
