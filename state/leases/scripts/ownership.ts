import { defineScript, type Script } from '../../redis/script.ts';
import { clock, constants, leases, load, purge, recovery, retire, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

/**
 * ACS has answered. Promises: only the owner under its own fence writes; the lease gets its callConnectionId and the normal lease time,
 * counts again if it had lapsed, and the call enters the list of unsent calls with its callConnectionId.
 *
 * ARGV: call ref, fence, incarnation, callConnectionId. Reply: `written` | `fenced` | `missing`.
 */
export function answeredScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'answered',
    keys: ['unsent', 'unsentCalls'],
    uses: [constants(times), clock, seal, recovery, leases, load],
    lua: `
local ref, fence, incarnation, connection = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local value = call('HGET', leasesKey, ref)
if not value then return 'missing' end
local stored, worker, owner, _, _, placed, since, ring_id, ring = string.match(value, LEASE)
if stored ~= fence or owner ~= incarnation then return 'fenced' end
if not epoch then seal() end
write_lease(ref, stored, worker, owner, 'a', connection, placed, since, ring_id, ring)
link(worker .. ' ' .. ref, now + LEASE_MS)
call('ZADD', unsentKey, 'NX', now, ref)
call('HSET', unsentCallsKey, ref, connection)
reindex(worker)
return 'written'
`,
  });
}

/**
 * Takeover, step one. Promises: refused unless the lease still is under the fence and incarnation that the taker saw; the new fence is above
 * every fence this call had, above the pool's floor and above the floor that a refused claim named; the taker's limit holds.
 *
 * ARGV: call ref, seen fence, seen incarnation, taker, its incarnation, hard limit, fence floor.
 * Reply: `recovering` | `full` | `moved`, lease or nothing | `granted`, lease.
 */
export function grantScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'grant',
    keys: ['fences'],
    uses: [constants(times), clock, seal, recovery, leases, load, retire],
    lua: `
local ref, seen, seen_incarnation, taker, incarnation = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if recovering(false) then return { 'recovering' } end
retire(8)
local value = call('HGET', leasesKey, ref)
if not value then return { 'moved' } end
local fence, worker, owner, state, connection, placed, _, ring_id, ring = string.match(value, LEASE)
if fence ~= seen or owner ~= seen_incarnation then return { 'moved', lease_reply(ref, value, worker) } end
local counted = worker == taker and call('ZSCORE', expiryKey, worker .. ' ' .. ref)
if not counted and load_of(taker) >= tonumber(ARGV[6]) then return { 'full' } end
local floor = tonumber(call('GET', fencesKey) or 0)
local new_fence = next_fence(floor, math.max(tonumber(fence), tonumber(ARGV[7])))
unlink(worker .. ' ' .. ref)
write_lease(ref, new_fence, taker, incarnation, state, connection, placed, now, ring_id, ring)
link(taker .. ' ' .. ref, now + LEASE_MS)
reindex(worker)
reindex(taker)
return { 'granted', lease_reply(ref, call('HGET', leasesKey, ref), taker) }
`,
  });
}

/**
 * The call has ended. Promises: only the owner under its own fence ends it, so a fenced-out owner changes nothing; repeating it is harmless;
 * the ring's outcome stays.
 *
 * ARGV: call ref, fence, incarnation. Reply: 1 when the lease went, else 0.
 */
export function releaseScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'release',
    keys: ['rings'],
    uses: [constants(times), clock, seal, recovery, leases, load, purge],
    lua: `
local ref, fence, incarnation = ARGV[1], ARGV[2], ARGV[3]
local value = call('HGET', leasesKey, ref)
if not value then return 0 end
local stored, worker, owner, _, _, _, _, ring_id = string.match(value, LEASE)
if stored ~= fence or owner ~= incarnation then return 0 end
if not epoch then seal() end
unlink(worker .. ' ' .. ref)
call('HDEL', leasesKey, ref)
end_ring(ring_id, ref, fence)
reindex(worker)
-- More than one call ends here, so that outcomes go at least as fast as they come.
purge(3)
return 1
`,
  });
}

/** ARGV: call ref. Reply: lease or nothing. */
export function findScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'find',
    keys: [],
    uses: [constants(times), clock, leases],
    lua: `
local value = call('HGET', leasesKey, ARGV[1])
if not value then return false end
local _, worker = string.match(value, LEASE_HEAD)
return lease_reply(ARGV[1], value, worker)
`,
  });
}

/** ARGV: call ref, fence, incarnation. Reply: 1 while that owner stands, else 0; also when the lease has lapsed, since expiry proves nothing. */
export function ownsScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'owns',
    keys: [],
    uses: [constants(times), clock, leases],
    lua: `
local value = call('HGET', leasesKey, ARGV[1])
if not value then return 0 end
local fence, _, incarnation = string.match(value, LEASE_HEAD)
return (fence == ARGV[2] and incarnation == ARGV[3]) and 1 or 0
`,
  });
}
