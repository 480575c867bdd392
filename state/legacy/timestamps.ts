const ISO = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?$/;
/** Seconds since 1970 reach this in the year 5138; milliseconds passed it in 1973. */
const SECONDS_BELOW = 100_000_000_000;
const MAX_MS = 8_640_000_000_000_000;

/**
 * Unix milliseconds of a time stamp as older systems wrote it: ISO 8601 with or without zone (without it is UTC, since the writer used
 * UTC clocks), Unix seconds (whole or not) or Unix milliseconds. Undefined for everything else.
 */
export function legacyTimeMs(value: unknown): number | undefined {
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || value <= 0) return undefined;
    const ms = Math.round(value < SECONDS_BELOW ? value * 1000 : value);
    return ms <= MAX_MS ? ms : undefined;
  }
  if (typeof value !== 'string') return undefined;
  const found = ISO.exec(value);
  if (!found) return undefined;
  const [, day, time, fraction = '', zone = 'Z'] = found;
  const ms = Date.parse(
    `${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${zone.replace(/^(...)(\d\d)$/, '$1:$2')}`,
  );
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}

/** True when the number of milliseconds says all that the stamp said, so that the stamp itself need not be kept. */
export function isExactly(value: unknown, ms: number): boolean {
  return value === ms || (typeof value === 'string' && value === new Date(ms).toISOString());
}
