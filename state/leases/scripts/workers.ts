import { defineScript, type Script } from '../../redis/script.ts';
import { clock, constants, load, recovery, seal } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

/** Parked callbacks of one worker; above it `park` refuses, and ACS sends the callback again. */
export const INBOX_LIMIT = 256;
/** Parked callbacks that one heartbeat hands over. */
const INBOX_BATCH = 64;
const CONTROLLER_FENCE_MS = 7 * 24 * 3_600_000;

/**
 * A worker's sign of life. Promises: the affinity record's life is extended and its content is not changed; the worker is placed on only while
 * controller and worker both admit; after a silence longer than a heartbeat's life a worker with leases must renew before it is placed on again,
 * since its leases may have expired meanwhile; parked callbacks stay until the next heartbeat acknowledges them.
 *
 * ARGV: worker, incarnation, slots, admits (1 or 0), endpoint, heartbeat JSON, highest inbox number received.
 * Reply: affinity JSON or nothing, inbox as number, entry, number, entry...
 */
export function beatScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'beat',
    keys: ['affinity', 'heartbeat', 'inbox', 'beats'],
    uses: [constants(times), clock, seal, recovery, load],
    lua: `
local worker, incarnation, slots, endpoint = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
recovering(true)
if not epoch then seal() end
call('SET', heartbeatKey, ARGV[6], 'PX', BEAT_MS)
local affinity = call('GET', affinityKey)
local flags = ''
if affinity then
  call('PEXPIRE', affinityKey, AFFINITY_MS)
  local record = cjson.decode(affinity)
  if record.state == 'admitting' then flags = 'A' end
  slots = math.min(slots, record.slots)
end
if ARGV[4] == '1' then flags = flags .. 'H' end

local previous = call('HGET', workersKey, worker)
local renewed = '0'
if previous then
  local beat, _, old_flags, _, old_renewed = string.match(previous, WORKER)
  renewed = old_renewed
  local silent = now - beat > BEAT_MS and now - renewed > BEAT_MS
  if string.find(old_flags, 'R', 1, true) or (silent and load_of(worker) > 0) then flags = flags .. 'R' end
end
call('HSET', workersKey, worker, string.format('%.0f %d %s %s %s %s', now, slots, flags, incarnation, renewed, endpoint))
call('ZADD', beatsKey, now, worker)
reindex(worker)

local inbox = {}
if call('EXISTS', inboxKey) == 1 then
  call('ZREMRANGEBYSCORE', inboxKey, '-inf', ARGV[7])
  inbox = call('ZRANGE', inboxKey, 0, ${INBOX_BATCH - 1}, 'WITHSCORES')
end
return { affinity, inbox }
`,
  });
}

/**
 * What the controller says of a worker. Promises: refused when a controller with a higher fence has written to this pool; placement follows at once.
 *
 * ARGV: worker, controller fence, record JSON, state, slots, endpoint. Reply: `written` | `fenced`.
 */
export function writeAffinityScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'writeAffinity',
    keys: ['affinity', 'controller', 'beats'],
    uses: [constants(times), clock, seal, recovery, load],
    lua: `
local worker, fence, state = ARGV[1], tonumber(ARGV[2]), ARGV[4]
if tonumber(call('GET', controllerKey) or 0) > fence then return 'fenced' end
call('SET', controllerKey, ARGV[2], 'PX', ${CONTROLLER_FENCE_MS})
if not epoch then seal() end
call('SET', affinityKey, ARGV[3], 'PX', AFFINITY_MS)
local beat, slots, flags, incarnation, renewed, endpoint = '0', ARGV[5], '', '', '0', ARGV[6]
local record = call('HGET', workersKey, worker)
if record then
  local found_beat, _, found_flags, found_incarnation, found_renewed, found_endpoint = string.match(record, WORKER)
  beat, flags, incarnation, renewed, endpoint = found_beat, found_flags, found_incarnation, found_renewed, found_endpoint
elseif state == 'gone' then
  return 'written'
end
flags = (state == 'admitting' and 'A' or '') .. string.gsub(flags, 'A', '')
call('HSET', workersKey, worker, string.format('%s %d %s %s %s %s', beat, tonumber(slots), flags, incarnation, renewed, endpoint))
reindex(worker)
return 'written'
`,
  });
}

/**
 * Parks a callback for a worker. Promises: entries keep their order and number; a full inbox refuses the newest.
 *
 * ARGV: call ref, body. Reply: 1, or 0 when the inbox is full.
 */
export function parkScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'park',
    keys: ['inbox'],
    uses: [constants(times), clock],
    lua: `
if call('ZCARD', inboxKey) >= ${INBOX_LIMIT} then return 0 end
local number = time[1] * 1000000 + time[2]
local last = call('ZRANGE', inboxKey, -1, -1, 'WITHSCORES')[2]
if last then number = math.max(number, last + 1) end
local text = string.format('%.0f', number)
call('ZADD', inboxKey, text, text .. '\\n' .. ARGV[1] .. '\\n' .. ARGV[2])
call('PEXPIRE', inboxKey, INBOX_MS)
return 1
`,
  });
}

/** Workers whose heartbeat counts. Reply: worker ids. */
export function liveWorkersScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'liveWorkers',
    keys: ['beats'],
    uses: [constants(times), clock],
    lua: `
return call('ZRANGEBYSCORE', beatsKey, now - BEAT_MS, '(+inf')
`,
  });
}
