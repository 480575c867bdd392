import { parseArgs } from 'node:util';
import type { DeadLetter } from '../state/messaging/dead_letters.ts';
import type { QuarantinedRecord } from '../state/outbox/quarantine.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { type OutboxStores, openOutboxStores } from './outbox_stores.ts';
import { table } from './table.ts';

const OPTIONS = {
  call: { type: 'string' },
  record: { type: 'string' },
  all: { type: 'boolean', default: false },
  output: { type: 'string', short: 'o', default: 'table' },
} as const;
const USAGE = 'usage: rtvoice outbox list [--call ID] | outbox replay (--call ID [--record ID] | --all) [-o json]\n';

type Env = Readonly<Record<string, string | undefined>>;

/** One refused record, wherever it stands. */
interface Row {
  readonly where: 'quarantine' | 'dead letters';
  readonly callConnectionId: string;
  readonly recordId: string;
  readonly kind: string;
  readonly reason: string;
}

interface Replay {
  readonly replayed: Row[];
  readonly refused: Row[];
  /** Records that match and were not reached. */
  readonly left: number;
}

/**
 * `outbox list`: records that the archive has refused for good, in Redis and, with Service Bus, among its dead letters.
 * `outbox replay`: tries them once more, after what made them fail was mended. It reads the settings of a worker from the environment.
 */
export async function outbox(args: readonly string[], io: Io, env: Env = process.env): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [verb, ...more] = positionals;
  if ((verb !== 'list' && verb !== 'replay') || more.length > 0) return slip(io, 'outbox needs list or replay');
  if (values.output !== 'table' && values.output !== 'json') return slip(io, `-o knows json, not ${values.output}`);
  if (values.record !== undefined && values.call === undefined) return slip(io, '--record needs --call');
  // Replaying everything is seldom what is meant: it has to be said.
  if (verb === 'replay' && (values.call === undefined) !== values.all)
    return slip(io, 'replay needs either --call or --all');
  const filter = { callConnectionId: values.call, recordId: values.record };
  const stores = await openOutboxStores(env);
  try {
    const json = values.output === 'json';
    return verb === 'list' ? await list(stores, filter, json, io) : await replay(stores, filter, json, io);
  } finally {
    await stores.close();
  }
}

type Filter = { readonly callConnectionId: string | undefined; readonly recordId: string | undefined };

async function list(stores: OutboxStores, filter: Filter, json: boolean, io: Io): Promise<ExitCode> {
  const quarantined = (await stores.quarantine.list(filter)).map(ofQuarantine);
  const dead = ((await stores.deadLetters?.list(filter)) ?? []).map(ofDeadLetter);
  const rows = [...quarantined, ...dead];
  if (json) io.out(`${JSON.stringify({ records: rows })}\n`);
  else io.out(rows.length === 0 ? 'no record was refused\n' : show(rows));
  return rows.length === 0 ? EXIT.ok : EXIT.degraded;
}

async function replay(stores: OutboxStores, filter: Filter, json: boolean, io: Io): Promise<ExitCode> {
  const quarantine = await stores.quarantine.replay(stores.archive, filter);
  const dead = (await stores.deadLetters?.replay(filter)) ?? { replayed: [], left: 0 };
  const report: Replay = {
    replayed: [...quarantine.replayed.map(ofQuarantine), ...dead.replayed.map(ofDeadLetter)],
    refused: quarantine.refused.map(ofQuarantine),
    left: quarantine.left.length + dead.left,
  };
  if (json) io.out(`${JSON.stringify(report)}\n`);
  else {
    io.out(`${report.replayed.length} replayed, ${report.refused.length} refused again, ${report.left} not reached\n`);
    if (report.refused.length > 0) io.out(show(report.refused));
  }
  return report.refused.length + report.left > 0 ? EXIT.degraded : EXIT.ok;
}

const ofQuarantine = ({ callConnectionId, recordId, kind, reason }: QuarantinedRecord): Row => ({
  ...{ where: 'quarantine', callConnectionId, recordId, kind, reason },
});
const ofDeadLetter = ({ callConnectionId, recordId, kind, reason }: DeadLetter): Row => ({
  ...{ where: 'dead letters', callConnectionId, recordId, kind, reason },
});

function show(rows: readonly Row[]): string {
  return table(
    ['WHERE', 'CALL', 'RECORD', 'KIND', 'REASON'],
    rows.map(({ where, callConnectionId, recordId, kind, reason }) => [
      where,
      callConnectionId,
      recordId,
      kind,
      reason,
    ]),
  );
}

function slip(io: Io, text: string): ExitCode {
  io.err(`rtvoice: ${text}\n${USAGE}`);
  return EXIT.error;
}
