import { parseArgs } from 'node:util';
import { systemClock } from '../platform/clock.ts';
import { type BulkRow, migrateAll } from '../state/legacy/bulk.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { MigrationReport } from './migrate_report.ts';
import { withMigrateStores } from './migrate_stores.ts';

const OPTIONS = {
  'dry-run': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  limit: { type: 'string', default: '100000000' },
  rate: { type: 'string', default: '100' },
} as const;
const USAGE = 'usage: rtvoice migrate [--dry-run] [--json] [--limit N] [--rate N]\n';
const CONCURRENCY = 8;
const PROGRESS_EVERY = 1_000;

/**
 * `migrate`: moves every conversation from the older flat keys to ours. Exit code 1 when something could not be read or an older system
 * has written since; the output names it by key and reason. May be ended and started again at any time.
 */
export async function migrate(
  args: readonly string[],
  io: Io,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ExitCode> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const dryRun = values['dry-run'];
  const limit = wholeNumber(values.limit);
  const ratePerSecond = wholeNumber(values.rate);
  if (limit === undefined || ratePerSecond === undefined) {
    io.err(`rtvoice: --limit and --rate need a whole number above 0\n${USAGE}`);
    return EXIT.error;
  }
  const report = new MigrationReport();
  const onRow = (row: BulkRow) => {
    report.add(row);
    if (report.total % PROGRESS_EVERY === 0) io.err(`${report.total} conversations looked at\n`);
  };
  const pace = { clock: systemClock, limit, ratePerSecond, concurrency: CONCURRENCY };
  await withMigrateStores(env, dryRun, (stores) => migrateAll({ ...stores, ...pace, dryRun, onRow }));
  io.out(values.json ? `${JSON.stringify(report.toJSON(), null, 2)}\n` : report.text());
  return report.isWanting ? EXIT.degraded : EXIT.ok;
}

function wholeNumber(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}
