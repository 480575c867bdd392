import { defineScript, type Script } from '../../redis/script.ts';
import { clock, constants, leases, load, recovery, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

/**
 * The controller has seen every worker re-assert, or the pool is new. Promises: place and grant go on at once; refused for an older controller.
 *
 * ARGV: controller fence. Reply: `open` | `fenced`.
 */
export function confirmRecoveryScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'confirmRecovery',
    keys: ['controller'],
    uses: [constants(times), clock, seal, recovery],
    lua: `
if tonumber(call('GET', controllerKey) or 0) > tonumber(ARGV[1]) then return 'fenced' end
call('SET', controllerKey, ARGV[1], 'PX', ${7 * 24 * 3_600_000})
if recovering(false) then open_pool() end
return 'open'
`,
  });
}

/** Reply: the highest fence of a controller that wrote, or 0. */
export function controllerFenceScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'controllerFence',
    keys: ['controller'],
    uses: [constants(times), clock],
    lua: `
return call('GET', controllerKey) or '0'
`,
  });
}

/** One page of the workers' loads. ARGV: cursor. Reply: next cursor, refused, recovering (1 or 0), worker, load, worker, load... */
export function summaryScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'summary',
    keys: ['refused', 'workers'],
    uses: [constants(times), clock, seal, recovery, load],
    lua: `
local page = call('HSCAN', workersKey, ARGV[1], 'COUNT', 256)
local loads = {}
for i = 1, #page[2], 2 do
  local worker = page[2][i]
  if worker ~= '' then
    loads[#loads + 1] = worker
    loads[#loads + 1] = load_of(worker)
  end
end
return { page[1], call('GET', refusedKey) or '0', recovering(false) and 1 or 0, loads }
`,
  });
}

/**
 * Calls whose records are not all archived, oldest first. ARGV: offset, limit.
 * Reply: {ref, callConnectionId or empty, entered at, worker of its lease or empty, 1 when that worker's heartbeat counts}...
 */
export function unsentScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'unsent',
    keys: ['unsent', 'unsentCalls', 'beats'],
    uses: [constants(times), clock, leases],
    lua: `
local list = {}
local found = call('ZRANGEBYSCORE', unsentKey, '-inf', '(+inf', 'WITHSCORES', 'LIMIT', ARGV[1], ARGV[2])
for i = 1, #found, 2 do
  local ref, worker, live = found[i], '', 0
  local value = call('HGET', leasesKey, ref)
  if value then
    worker = select(2, string.match(value, LEASE_HEAD))
    local beat = call('ZSCORE', beatsKey, worker)
    if beat and now - beat <= BEAT_MS then live = 1 end
  end
  list[#list + 1] = { ref, call('HGET', unsentCallsKey, ref) or '', found[i + 1], worker, live }
end
return list
`,
  });
}

/** ARGV: call ref. Everything that was remembered for the archiver goes. */
export function markSentScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'markSent',
    keys: ['unsent', 'unsentCalls', 'drains'],
    uses: [constants(times), clock],
    lua: `
call('ZREM', unsentKey, ARGV[1])
call('HDEL', unsentCallsKey, ARGV[1])
call('HDEL', drainsKey, ARGV[1])
return 1
`,
  });
}

/**
 * One archiver's claim on a call's stream. Promises: at most one (worker, incarnation) holds it until its time is over; each change of holder raises
 * the fence; the holder may extend it under the same fence; the stream of a call whose owner gives signs of life stays with that owner.
 *
 * ARGV: call ref, worker, incarnation, lease in ms. Reply: `claimed`, fence | `held`, worker | `owned`, worker.
 */
export function claimDrainScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'claimDrain',
    keys: ['drains', 'beats', 'unsent'],
    uses: [constants(times), clock, leases],
    lua: `
local ref, worker, incarnation, length = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local value = call('HGET', leasesKey, ref)
if value then
  local _, owner = string.match(value, LEASE_HEAD)
  local beat = call('ZSCORE', beatsKey, owner)
  if owner ~= worker and beat and now - beat <= BEAT_MS then return { 'owned', owner } end
end
local fence = 1
local claim = call('HGET', drainsKey, ref)
if claim then
  local stored, holder, holder_incarnation, expires = string.match(claim, '^(%d+) (%S+) (%S+) (%d+)$')
  local own = holder == worker and holder_incarnation == incarnation
  if not own and now < tonumber(expires) then return { 'held', holder } end
  fence = tonumber(stored) + (own and 0 or 1)
end
call('HSET', drainsKey, ref, string.format('%.0f %s %s %.0f', fence, worker, incarnation, now + length))
call('PEXPIRE', drainsKey, math.max(UNSENT_MS, length))
return { 'claimed', string.format('%.0f', fence) }
`,
  });
}

/** Records of a call came back from a spool: the archiver must look at it again. ARGV: call ref, callConnectionId. */
export function enterUnsentScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'enterUnsent',
    keys: ['unsent', 'unsentCalls'],
    uses: [constants(times), clock],
    lua: `
call('ZADD', unsentKey, 'NX', now, ARGV[1])
call('HSET', unsentCallsKey, ARGV[1], ARGV[2])
for _, key in ipairs({ unsentKey, unsentCallsKey }) do
  if call('PTTL', key) < UNSENT_MS then call('PEXPIRE', key, UNSENT_MS) end
end
`,
  });
}

/** Fences of calls that are placed from now on are above this. ARGV: the floor. Reply: the floor that holds. */
export function raiseFloorScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'raiseFloor',
    keys: ['fences'],
    uses: [constants(times), clock, seal, recovery],
    lua: `
local floor = math.max(tonumber(call('GET', fencesKey) or 0), tonumber(ARGV[1]))
raise_floor(floor)
return string.format('%.0f', floor)
`,
  });
}
