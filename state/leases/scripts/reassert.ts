import { defineScript, type Fragment, type Script } from '../../redis/script.ts';
import { clock, constants, leases, load, purge, recovery, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

const verdicts: Fragment = {
  keys: ['leases', 'rings', 'fences'],
  lua: `
local function head(ref)
  local value = call('HGET', leasesKey, ref)
  if not value then return nil end
  local fence, worker, incarnation, state = string.match(value, LEASE_HEAD)
  return { ref = ref, fence = tonumber(fence), worker = worker, incarnation = incarnation, answered = state == 'a' }
end
-- What becomes of a lease that Redis is told of again: nil and the fence to write, or who stands in its way. In order:
-- its own record, the end of its call, another call of the same ring.
local function judge(mine, stored, ended_ref, ended_fence, rival, adopt, floor)
  local fence = mine.fence
  if stored then
    local own = stored.worker == mine.worker and stored.incarnation == mine.incarnation
    if own and adopt then
      fence = math.max(fence, stored.fence)
    elseif adopt then
      if stored.answered or not mine.answered then return stored end
      fence = next_fence(floor, math.max(fence, stored.fence))
    elseif stored.fence > fence or (stored.fence == fence and not own) then
      return stored
    end
  end
  if ended_ref == mine.ref or (ended_ref and not mine.answered) then return { fence = ended_fence, worker = '' } end
  if rival then
    local own = rival.worker == mine.worker and rival.incarnation == mine.incarnation
    if rival.answered and (adopt or not mine.answered) then return rival end
    if adopt and not mine.answered and not own then return rival end
    if adopt then fence = next_fence(floor, math.max(fence, rival.fence)) end
  end
  return nil, fence
end
`,
};

/**
 * Writes leases that Redis does not have. Promises: a lease with a higher fence, or with the same fence of another incarnation, stands and
 * the caller is told so; an ended call does not come back; of two calls of one ring the answered one stands, since ACS takes one answer only;
 * the pool's fence floor rises to the highest fence written. A re-assertion keeps its fence; an adoption that replaces a lease gets a higher one.
 *
 * ARGV: worker, incarnation, `adopt` or `renew`, then call ref, fence, callConnectionId or empty, placed at, ring id, ring JSON of each.
 * Reply: {ref, fence, worker} of each lease that was not written, and the fence of the last that was.
 */
export function reassertScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'reassert',
    keys: ['unsent', 'unsentCalls', 'beats'],
    uses: [constants(times), clock, seal, recovery, leases, load, purge, verdicts],
    lua: `
local worker, incarnation, adopt = ARGV[1], ARGV[2], ARGV[3] == 'adopt'
recovering(true)
if not epoch then seal() end
local lost, touched, written = {}, { [worker] = true }, 0
local floor = tonumber(call('GET', fencesKey) or 0)
local highest = floor
local function drop(lease)
  unlink(lease.worker .. ' ' .. lease.ref)
  call('HDEL', leasesKey, lease.ref)
  touched[lease.worker] = true
end
for i = 4, #ARGV, 6 do
  local ref, connection, placed, ring_id, ring = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local mine = { ref = ref, fence = tonumber(ARGV[i + 1]), worker = worker, incarnation = incarnation, answered = connection ~= '' }
  local stored = head(ref)
  local outcome = call('HGET', ringsKey, ring_id)
  local ended_ref, ended_fence
  if outcome then ended_ref, ended_fence = string.match(outcome, '^E (%S+) (%d+)$') end
  local rival = outcome and not ended_ref and outcome ~= ref and head(outcome) or nil
  local obstacle, fence = judge(mine, stored, ended_ref, ended_fence, rival, adopt, floor)
  if obstacle then
    lost[#lost + 1] = { ref, number_text(obstacle.fence), obstacle.worker }
  else
    if stored and stored.worker ~= worker then drop(stored) end
    local replaced = rival and (adopt or (mine.answered and not rival.answered))
    if replaced then drop(rival) end
    if replaced or not rival then
      call('HSET', ringsKey, ring_id, ref)
      call('ZREM', purgeKey, 'E ' .. ring_id)
    end
    write_lease(ref, fence, worker, incarnation, mine.answered and 'a' or 'r', connection, placed, now, ring_id, ring)
    link(worker .. ' ' .. ref, now + (mine.answered and LEASE_MS or RINGING_MS))
    call('ZADD', unsentKey, 'NX', now, ref)
    if mine.answered then call('HSET', unsentCallsKey, ref, connection) end
    highest = math.max(highest, fence)
    written = fence
  end
end
if highest > floor then raise_floor(highest) end
call('ZADD', beatsKey, 'NX', now, worker)
for name in pairs(touched) do reindex(name) end
return { lost, number_text(written) }
`,
  });
}
