import { defineError } from '../../../platform/errors.ts';

export const CRON_INVALID = defineError('ERR_CRON_INVALID', {
  status: 422,
  message: 'a schedule cannot be read',
  remedy:
    'Write five fields (minute hour day month weekday) such as `0 8 * * mon-fri`, and an IANA time zone such as `Europe/Berlin`.',
});

/** Which minutes a line of cron names; the five fields of POSIX crontab with ranges, lists, steps and names. */
export interface Cron {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** Both day fields are restricted: then either is enough. */
  readonly eitherDay: boolean;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MINUTE_MS = 60_000;

/** Throws ERR_CRON_INVALID that names the field. */
export function parseCron(text: string): Cron {
  const fields = text.trim().toLowerCase().split(/\s+/);
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  if (fields.length !== 5) throw CRON_INVALID.with(`${text}: it has ${fields.length} fields`);
  const weekdays = parseField('weekday', weekday, 0, 7, WEEKDAYS);
  if (weekdays.delete(7)) weekdays.add(0);
  return {
    minutes: parseField('minute', minute, 0, 59),
    hours: parseField('hour', hour, 0, 23),
    days: parseField('day', day, 1, 31),
    months: parseField('month', month, 1, 12, MONTHS, 1),
    weekdays,
    eitherDay: !day.startsWith('*') && !weekday.startsWith('*'),
  };
}

function parseField(
  name: string,
  text: string,
  min: number,
  max: number,
  names: readonly string[] = [],
  offset = 0,
): Set<number> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const [range = '', stepText, ...more] = part.split('/');
    const step = stepText === undefined ? 1 : fieldValue(stepText, [], 0);
    const [fromText = '', toText, ...rest] = range === '*' ? [String(min), String(max)] : range.split('-');
    const from = fieldValue(fromText, names, offset);
    const to = toText === undefined ? (stepText === undefined ? from : max) : fieldValue(toText, names, offset);
    const whole = [from, to, step].every(Number.isInteger) && more.length + rest.length === 0;
    if (!whole || from < min || to > max || from > to || step < 1)
      throw CRON_INVALID.with(`${part} is no ${name} from ${min} to ${max}`);
    for (let value = from; value <= to; value += step) found.add(value);
  }
  return found;
}

function fieldValue(text: string, names: readonly string[], offset: number): number {
  const at = names.indexOf(text);
  if (at >= 0) return at + offset;
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

export function matches(cron: Cron, time: LocalTime): boolean {
  return cron.minutes.has(time.minute) && matchesHour(cron, time);
}

function matchesHour(cron: Cron, { hour, day, month, weekday }: LocalTime): boolean {
  const [byDay, byWeekday] = [cron.days.has(day), cron.weekdays.has(weekday)];
  const onDay = cron.eitherDay ? byDay || byWeekday : byDay && byWeekday;
  return cron.hours.has(hour) && cron.months.has(month) && onDay;
}

export interface LocalTime {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Wall-clock time in an IANA zone. Throws ERR_CRON_INVALID for a zone that nobody knows. */
export function localTime(unixMs: number, timeZone: string): LocalTime {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(unixMs)
      .map(({ type, value }) => [type, value]),
  );
  const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  return {
    ...{ minute: number('minute'), hour: number('hour') % 24, day: number('day'), month: number('month') },
    weekday: WEEKDAYS.indexOf((parts.get('weekday') ?? '').toLowerCase().slice(0, 3)),
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, hourCycle: 'h23', minute: 'numeric', hour: 'numeric' },
      ...{ day: 'numeric', month: 'numeric', weekday: 'short' },
    });
    formats.set(timeZone, format);
    return format;
  } catch (cause) {
    throw CRON_INVALID.with(`there is no time zone ${timeZone}`, cause);
  }
}

/** Clocks of the world differ by whole quarters of an hour, and change on one: within a quarter only the minute moves. */
const QUARTER_MS = 15 * MINUTE_MS;
/** Quarters that are kept per zone: a little more than the longest window, a week, has. */
const QUARTERS_KEPT = 800;
const ZONES_KEPT = 64;
const quarters = new Map<string, Map<number, LocalTime>>();

/** Local time at the beginning of a quarter. Asking Intl for each minute of a week takes 40 ms, for each schedule of each pool. */
function quarterStart(startMs: number, timeZone: string): LocalTime {
  let known = quarters.get(timeZone);
  if (!known) {
    if (quarters.size >= ZONES_KEPT) quarters.clear();
    known = new Map();
    quarters.set(timeZone, known);
  }
  const found = known.get(startMs);
  if (found) return found;
  const time = localTime(startMs, timeZone);
  // A map keeps the order of insertion: what is dropped was worked out longest ago.
  const [oldest] = known.size >= QUARTERS_KEPT ? known.keys() : [];
  if (oldest !== undefined) known.delete(oldest);
  known.set(startMs, time);
  return time;
}

/**
 * Whether the window that begins at each minute the cron names, and lasts for `durationSeconds`, is open at `unixMs`. An hour that is skipped in
 * spring has no beginning in it; one that comes twice in autumn begins it twice, which only makes the window longer.
 */
export function isOpen(cron: Cron, timeZone: string, durationSeconds: number, unixMs: number): boolean {
  const oldestMs = unixMs - durationSeconds * 1000;
  for (
    let quarterMs = Math.floor(unixMs / QUARTER_MS) * QUARTER_MS;
    quarterMs + QUARTER_MS > oldestMs;
    quarterMs -= QUARTER_MS
  ) {
    const start = quarterStart(quarterMs, timeZone);
    if (!matchesHour(cron, start)) continue;
    for (let minute = 0; minute < 15; minute++) {
      const beginsMs = quarterMs + minute * MINUTE_MS;
      if (beginsMs <= unixMs && beginsMs > oldestMs && cron.minutes.has(start.minute + minute)) return true;
    }
  }
  return false;
}
