import { parseArgs } from 'node:util';
import { refuse, type SetupReport } from '../state/cosmos/setup.ts';
import { accountOptions, openArchive } from './cosmos_account.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { table } from './table.ts';

const OPTIONS = {
  ...accountOptions,
  check: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

const USAGE = 'usage: rtvoice cosmos init [--check] [--json] [--state-dir DIR]\n';

/** `cosmos init`: makes the archive's database and containers, and mends what differs; `--check` only says what it would find. */
export async function cosmos(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  if (positionals.join(' ') !== 'init') {
    io.err(`rtvoice: cosmos needs init\n${USAGE}`);
    return EXIT.error;
  }
  const archive = openArchive(values['state-dir']);
  try {
    const report = await archive.setUp({ check: values.check });
    io.out(values.json ? `${JSON.stringify(report)}\n` : describe(report));
    if (!values.check) refuse(report, ['fixed', 'unusable']);
    return isAsWanted(report) ? EXIT.ok : EXIT.degraded;
  } finally {
    archive.close();
  }
}

function isAsWanted({ databaseOutcome, containers }: SetupReport): boolean {
  return (
    databaseOutcome !== 'missing' &&
    containers.every(({ outcome }) => outcome === 'created' || outcome === 'equal' || outcome === 'mended')
  );
}

function describe({ database, databaseOutcome, containers }: SetupReport): string {
  const rows = containers.map(({ name, outcome, differences }) => [
    name,
    outcome,
    differences.map(({ what, severity }) => (severity === 'mendable' ? what : `${what} (${severity})`)).join('; ') ||
      '-',
  ]);
  return `database ${database}: ${databaseOutcome}\n${table(['CONTAINER', 'OUTCOME', 'DIFFERENCES'], rows)}`;
}
