import type { PoolSpec } from '../../../contract/pool.ts';
import { errorCode } from '../../../platform/errors.ts';
import { CRON_INVALID, type Cron, isOpen, parseCron } from './cron.ts';

export interface ScheduleFloor {
  /** The most that an open window asks for; 0 when none is open. */
  readonly workers: number;
  /** Name of that window. */
  readonly window: string | undefined;
  /** What cannot be read, in words. */
  readonly faults: readonly string[];
}

type Schedules = PoolSpec['scaling']['schedules'];
/** A window's state changes with the minute at the soonest; looking back over a week of minutes each time would cost more than a pass. */
const MINUTE_MS = 60_000;

/** The floors of a pool by time, worked out once a minute. */
export class ScheduleClock {
  #key = '';
  #floor: ScheduleFloor = { workers: 0, window: undefined, faults: [] };

  floor(schedules: Schedules, unixMs: number): ScheduleFloor {
    if (schedules.length === 0) return { workers: 0, window: undefined, faults: [] };
    const key = `${Math.floor(unixMs / MINUTE_MS)} ${JSON.stringify(schedules)}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#floor = scheduleFloor(schedules, unixMs);
    }
    return this.#floor;
  }
}

export function scheduleFloor(schedules: Schedules, unixMs: number): ScheduleFloor {
  const faults: string[] = [];
  let best: ScheduleFloor = { workers: 0, window: undefined, faults };
  for (const { name, cron, timeZone, durationSeconds, minWorkers } of schedules) {
    try {
      const open = isOpen(cached(cron), timeZone, durationSeconds, unixMs);
      if (open && minWorkers > best.workers) best = { workers: minWorkers, window: name, faults };
    } catch (error) {
      if (errorCode(error) !== CRON_INVALID.code) throw error;
      faults.push(`schedule ${name}: ${error instanceof Error ? error.message : ''}`);
    }
  }
  return best;
}

const parsed = new Map<string, Cron>();
const MAX_PARSED = 1_000;

function cached(text: string): Cron {
  const known = parsed.get(text);
  if (known) return known;
  const cron = parseCron(text);
  if (parsed.size < MAX_PARSED) parsed.set(text, cron);
  return cron;
}
