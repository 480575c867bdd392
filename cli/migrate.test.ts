import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BulkRow } from '../state/legacy/bulk.ts';
import { migrate } from './migrate.ts';
import { isWanting, MigrationReport } from './migrate_report.ts';

const row = (fields: Partial<BulkRow> = {}): BulkRow => ({
  ...{ id: 'call-1', state: 'migrated', generation: 'threads', entries: 2, bytes: 120 },
  ...{ keys: ['session:call-1'], targets: ['rtvoice:test:call:call-1:session'], faults: [] },
  ...fields,
});
const fault = { key: 'session:call-2', code: 'ERR_LEGACY_UNREADABLE', reason: 'session:call-2: holds a zset' };

describe('the report', () => {
  test('as text: a row for each conversation, the counts, and every fault by key and reason', () => {
    const report = new MigrationReport();
    report.add(row());
    report.add(
      row({ id: 'call-2', state: 'unreadable', generation: undefined, entries: 0, keys: [], faults: [fault] }),
    );
    assert.equal(
      report.text(),
      [
        'CONVERSATION  STATE       GENERATION  ENTRIES  BYTES  KEYS',
        'call-1        migrated    threads     2        120    1',
        'call-2        unreadable  -           0        120    0',
        '',
        '1 migrated: was moved over now',
        '1 unreadable: cannot be read; the flat keys were left as they are',
        '',
        'session:call-2: session:call-2: holds a zset (ERR_LEGACY_UNREADABLE)',
        '',
      ].join('\n'),
    );
  });

  test('beyond its bound it counts, and still knows that something is wanting', () => {
    const report = new MigrationReport();
    for (let at = 0; at < 10_000; at++) report.add(row());
    assert.equal(report.isWanting, false);
    report.add(row({ state: 'unreadable' }));
    assert.equal(report.isWanting, true);
    const { counts, leftOut, conversations } = JSON.parse(JSON.stringify(report)) as Record<string, object>;
    assert.deepEqual([counts, leftOut], [{ migrated: 10_000, unreadable: 1 }, 1]);
    assert.equal((conversations as BulkRow[]).length, 10_000);
  });

  test('what is wanting', () => {
    const states = ['ready', 'migrated', 'done', 'exists', 'continued', 'diverged', 'unreadable'] as const;
    assert.deepEqual(
      states.filter((state) => isWanting(row({ state }))),
      ['diverged', 'unreadable'],
    );
    assert.equal(isWanting(row({ faults: [fault] })), true);
  });
});

test('a slip in the arguments is told before anything is opened', async () => {
  for (const args of [
    ['--limit', '0'],
    ['--rate', 'fast'],
    ['--limit', '-1'],
  ]) {
    const said: string[] = [];
    const io = { out: () => assert.fail('nothing to say'), err: (text: string) => void said.push(text), colour: false };
    const code = await migrate(args, io, {}).catch((error: { code: string }) => error.code);
    assert.ok(code === 2 || code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE', String(code));
    if (code === 2) assert.match(said.join(''), /whole number above 0\nusage: rtvoice migrate/);
  }
  await assert.rejects(migrate(['--nonsense'], { out: () => undefined, err: () => undefined, colour: false }, {}), {
    code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION',
  });
});
