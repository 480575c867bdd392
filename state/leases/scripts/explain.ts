import { defineScript, type Fragment, type Script } from '../../redis/script.ts';
import { clock, constants, load } from '../fragments.ts';
import type { LeaseTimes } from '../times.ts';

/** Refusals that are kept, and workers that each names: enough to see a pattern, and never a burden in a rush of calls. */
const KEPT = 32;
const CANDIDATES_MAX = 64;
/** One refusal a second is noted with its candidates; the count tells how many there were. */
const NOTE_PERIOD_MS = 1000;
const KEPT_MS = 24 * 3_600_000;

/** Every worker as a placement sees it: worker, age of its heartbeat, load, slots, flags. */
export const candidates: Fragment = {
  keys: ['workers', 'owned'],
  lua: `
local function candidates()
  local lines = {}
  local page = call('HSCAN', workersKey, 0, 'COUNT', ${CANDIDATES_MAX})[2]
  for i = 1, #page, 2 do
    local worker = page[i]
    if worker ~= '' and #lines < ${CANDIDATES_MAX} then
      local beat, slots, flags = string.match(page[i + 1], WORKER)
      lines[#lines + 1] = string.format('%s %.0f %d %s %s', worker, now - beat, load_of(worker), slots, flags)
    end
  end
  return lines
end
`,
};

export const noteRefusal: Fragment = {
  keys: ['refusals'],
  lua: `
local function note_refusal(ring_id, refused, excluded)
  local last = call('LINDEX', refusalsKey, 0)
  if last and now - string.match(last, '^%d+') < ${NOTE_PERIOD_MS} then return end
  local names = {}
  for name in pairs(excluded) do names[#names + 1] = name end
  local lines = candidates()
  table.insert(lines, 1, string.format('%.0f %s %s %s', now, ring_id, refused, table.concat(names, ',')))
  call('LPUSH', refusalsKey, table.concat(lines, '\\n'))
  call('LTRIM', refusalsKey, 0, ${KEPT - 1})
  call('PEXPIRE', refusalsKey, ${KEPT_MS})
end
`,
};

/** What a placement would choose from now. Reply: now, candidate lines, refusals with the newest first. */
export function explainScript(times: LeaseTimes): Script {
  return defineScript({
    name: 'explain',
    keys: ['refusals'],
    uses: [constants(times), clock, load, candidates],
    lua: `
return { string.format('%.0f', now), candidates(), call('LRANGE', refusalsKey, 0, -1) }
`,
  });
}
