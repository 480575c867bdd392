import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isOpen, localTime, matches, parseCron } from './cron.ts';
import { ScheduleClock, scheduleFloor } from './schedules.ts';

const at = (iso: string) => Date.parse(iso);
const HOUR = 3_600;

describe('a line of cron', () => {
  const cases: [string, string, string, boolean][] = [
    ['0 8 * * *', 'UTC', '2026-03-10T08:00:00Z', true],
    ['0 8 * * *', 'UTC', '2026-03-10T08:01:00Z', false],
    ['*/15 * * * *', 'UTC', '2026-03-10T08:45:30Z', true],
    ['5/15 * * * *', 'UTC', '2026-03-10T08:50:00Z', true],
    ['0 8-10,20 * * *', 'UTC', '2026-03-10T20:00:00Z', true],
    ['0 0 31 * *', 'UTC', '2026-04-30T00:00:00Z', false],
    ['0 0 29 feb *', 'UTC', '2028-02-29T00:00:00Z', true],
    ['0 0 * * 0', 'UTC', '2026-03-08T00:00:00Z', true],
    ['0 0 * * 7', 'UTC', '2026-03-08T00:00:00Z', true],
    ['0 9 * * mon-fri', 'UTC', '2026-03-08T09:00:00Z', false],
    ['0 0 1 * mon', 'UTC', '2026-03-09T00:00:00Z', true],
    ['0 0 1 * mon', 'UTC', '2026-03-01T00:00:00Z', true],
    ['0 0 1 * mon', 'UTC', '2026-03-03T00:00:00Z', false],
    ['0 8 * * *', 'Europe/Berlin', '2026-01-10T07:00:00Z', true],
    ['0 8 * * *', 'Europe/Berlin', '2026-07-10T06:00:00Z', true],
    ['30 2 * * *', 'America/New_York', '2026-11-01T06:30:00Z', false],
    ['30 1 * * *', 'America/New_York', '2026-11-01T05:30:00Z', true],
    ['30 1 * * *', 'America/New_York', '2026-11-01T06:30:00Z', true],
  ];
  for (const [cron, zone, time, expected] of cases) {
    it(`${cron} in ${zone} at ${time}: ${expected}`, () => {
      assert.equal(matches(parseCron(cron), localTime(at(time), zone)), expected);
    });
  }

  it('is refused with the part that is wrong', () => {
    for (const [text, says] of [
      ['* * * *', /4 fields/],
      ['60 * * * *', /60 is no minute/],
      ['* * 0 * *', /0 is no day/],
      ['* * * foo *', /foo is no month/],
      ['5-1 * * * *', /5-1 is no minute/],
      ['*/0 * * * *', /\*\/0 is no minute/],
      ['*/5/2 * * * *', /\*\/5\/2 is no minute/],
      ['1-2-3 * * * *', /1-2-3 is no minute/],
      ['*/1e1 * * * *', /1e1 is no minute/],
      ['1,,2 * * * *', / is no minute/],
    ] as const) {
      assert.throws(() => parseCron(text), says);
    }
    assert.throws(() => localTime(0, 'Mars/Base'), /no time zone Mars\/Base/);
  });
});

describe('windows', () => {
  const morning = {
    name: 'morning',
    cron: '0 8 * * mon-fri',
    timeZone: 'Europe/Berlin',
    durationSeconds: 2 * HOUR,
    minWorkers: 6,
  };

  it('are open from their beginning for their duration', () => {
    const open = (time: string) => scheduleFloor([morning], at(time)).workers;
    assert.equal(open('2026-03-10T06:59:59Z'), 0);
    assert.equal(open('2026-03-10T07:00:00Z'), 6);
    assert.equal(open('2026-03-10T08:59:59Z'), 6);
    assert.equal(open('2026-03-10T09:00:00Z'), 0);
    assert.equal(open('2026-03-08T07:30:00Z'), 0, 'a Sunday');
  });

  it('have no beginning in the hour that is skipped in spring', () => {
    const cron = parseCron('30 2 * * *');
    assert.equal(isOpen(cron, 'Europe/Berlin', 60, at('2026-03-29T01:30:00Z')), false);
    assert.equal(isOpen(cron, 'Europe/Berlin', 60, at('2026-03-30T00:30:00Z')), true);
  });

  it('end and begin where summer time does', () => {
    const cron = parseCron('0 2 * * sun');
    const open = (time: string) => isOpen(cron, 'Europe/Berlin', HOUR, at(time));
    // Clocks go back at 01:00 UTC: two o'clock comes at 00:00 and at 01:00 UTC.
    assert.deepEqual(
      ['2026-10-24T23:59:00Z', '2026-10-25T00:00:00Z', '2026-10-25T01:59:00Z', '2026-10-25T02:00:00Z'].map(open),
      [false, true, true, false],
    );
  });

  it('are the same as if each of their minutes were asked for, in zones of half and quarter hours too', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Asia/Kolkata'];
    // Around the change of April 2026 in Lord Howe, which moves its clocks by half an hour.
    const time = fc.integer({ min: at('2026-04-04T00:00:00Z'), max: at('2026-04-06T00:00:00Z') });
    const seconds = fc.integer({ min: 60, max: 10_000 });
    const back = fc.double({ min: 0, max: 1.2, noNaN: true });
    fc.assert(
      fc.property(fc.constantFrom(...zones), seconds, time, back, (zone, durationSeconds, unixMs, share) => {
        // A line that names a minute in or near the window: one at random would hardly ever open it.
        const { minute, hour } = localTime(unixMs - share * durationSeconds * 1000, zone);
        const cron = parseCron(`${minute} ${hour} * * *`);
        let expected = false;
        for (let ms = Math.floor(unixMs / 60_000) * 60_000; unixMs - ms < durationSeconds * 1000; ms -= 60_000) {
          expected ||= matches(cron, localTime(ms, zone));
        }
        assert.equal(isOpen(cron, zone, durationSeconds, unixMs), expected);
      }),
      { numRuns: 200 },
    );
  });

  it('the one that asks for most counts, and one that cannot be read harms no other', () => {
    const late = { ...morning, name: 'late', minWorkers: 9 };
    const broken = { ...morning, name: 'broken', cron: '99 * * * *' };
    const floor = scheduleFloor([morning, broken, late], at('2026-03-10T07:30:00Z'));
    assert.deepEqual([floor.workers, floor.window, floor.faults.length], [9, 'late', 1]);
    assert.match(floor.faults[0] ?? '', /schedule broken: .*99 is no minute/);
  });

  it('are worked out again with the minute or another document', () => {
    const clock = new ScheduleClock();
    const time = at('2026-03-10T07:30:00Z');
    const first = clock.floor([morning], time);
    assert.equal(clock.floor([morning], time + 1_000), first);
    assert.notEqual(clock.floor([morning], time + 60_000), first);
    assert.equal(clock.floor([{ ...morning, minWorkers: 3 }], time).workers, 3);
  });
});
