import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SealingMetrics } from '../state/sealing/metrics.ts';
import { type SealingReport, verifyCosmos, verifyRedis, verifySpool, violationCount } from '../state/sealing/verify.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { type Environment, type SealingStores, withSealingStores } from './sealing_stores.ts';
import { table } from './table.ts';

const OPTIONS = {
  limit: { type: 'string', default: '10000' },
  spool: { type: 'string' },
  output: { type: 'string', short: 'o', default: 'text' },
} as const;
const USAGE = 'usage: rtvoice verify sealing [--limit N] [--spool DIR] [-o text|json|prometheus]\n';
const OUTPUTS = ['text', 'json', 'prometheus'] as const;
type Output = (typeof OUTPUTS)[number];

/**
 * `verify sealing`: reads up to N keys of Redis and N documents of each container, and the spools under DIR, and says which hold members
 * in clear that must be sealed: kinds, counts and places, never content. Exit code 1 when there are any. `-o prometheus` is for a text file collector.
 */
export async function verify(args: readonly string[], io: Io, env: Environment = process.env): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const output = OUTPUTS.find((name) => name === values.output);
  if (positionals.join(' ') !== 'sealing' || output === undefined || !/^[1-9]\d{0,8}$/.test(values.limit)) {
    io.err(`rtvoice: verify needs sealing, a limit above 0 and a known output\n${USAGE}`);
    return EXIT.error;
  }
  if (values.spool !== undefined && !existsSync(values.spool)) {
    io.err(`rtvoice: there is no folder ${values.spool}; --spool takes the one that RTVOICE_SPOOL_DIR names\n`);
    return EXIT.error;
  }
  return withSealingStores(env, async (stores) => {
    const metrics = new SealingMetrics(stores.registry);
    const reports = await reportsOf(stores, Number(values.limit));
    if (values.spool !== undefined) reports.push(await verifySpool(values.spool));
    for (const report of reports) metrics.violations(report.store, violationCount(report));
    await print(reports, output, stores, io);
    return reports.some((report) => violationCount(report) > 0) ? EXIT.degraded : EXIT.ok;
  });
}

async function reportsOf({ redis, keys, database }: SealingStores, limit: number): Promise<SealingReport[]> {
  const inRedis = await verifyRedis({ redis, keys, maxKeys: limit });
  if (!database) return [inRedis];
  const transcripts = database.container('transcripts');
  const profiles = database.container('profiles');
  const analytics = database.container('analytics');
  return [inRedis, await verifyCosmos({ transcripts, profiles, analytics, maxItems: limit })];
}

async function print(reports: readonly SealingReport[], output: Output, stores: SealingStores, io: Io): Promise<void> {
  if (output === 'prometheus') {
    io.out(await stores.registry.getSingleMetricAsString('rtvoice_encryption_violations'));
    io.out('\n');
    return;
  }
  if (output === 'json') {
    const value = reports.map((report) => ({ ...report, violations: Object.fromEntries(report.violations) }));
    io.out(`${JSON.stringify(value)}\n`);
    return;
  }
  const rows = reports.flatMap(({ store, records, violations }) =>
    violations.size === 0
      ? [[store, String(records), '-', '0']]
      : [...violations].map(([kind, count]) => [store, String(records), kind, String(count)]),
  );
  io.out(table(['STORE', 'RECORDS', 'KIND', 'IN CLEAR'], rows));
  for (const { examples } of reports) for (const place of examples) io.out(`  ${place}\n`);
  if (!stores.database) io.err('rtvoice: no Cosmos DB account is named; only Redis was looked at\n');
}
