import { parseArgs } from 'node:util';
import { defineError } from '../platform/errors.ts';
import { describeState } from '../state/cosmos/call_state.ts';
import { CosmosReader } from '../state/cosmos/reader.ts';
import { accountOptions, openArchive } from './cosmos_account.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { readingCodec } from './reading_codec.ts';
import { table } from './table.ts';
import { isoTime, TranscriptTally, type TranscriptTurn, turnOf } from './transcript.ts';

export const CALL_NOT_ARCHIVED = defineError('ERR_CALL_NOT_ARCHIVED', {
  status: 404,
  message: 'the archive has nothing of this call',
  remedy:
    'Give the callConnectionId. Records of a live call reach the archive within seconds; look at rtvoice_archive_pending.',
});

const OPTIONS = { ...accountOptions, json: { type: 'boolean', default: false } } as const;
const USAGE = 'usage: rtvoice calls show ID [--json] [--state-dir DIR]\n';

interface ArchivedCallView {
  callConnectionId: string;
  state: ReturnType<typeof describeState>;
  summary: Record<string, unknown> | undefined;
  turns: TranscriptTurn[];
}

/** `calls show ID`: one call from the archive, in the order of speaking, and how much of it is there. Exit code 1 unless it is complete. */
export async function calls(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [verb, id, ...more] = positionals;
  if (verb !== 'show' || id === undefined || more.length > 0) {
    io.err(`rtvoice: calls needs show and one ID\n${USAGE}`);
    return EXIT.error;
  }
  const archive = openArchive(values['state-dir']);
  try {
    const codec = await readingCodec(archive, process.env);
    const { view, complete } = await read(new CosmosReader({ database: archive, ...(codec ? { codec } : {}) }), id);
    io.out(values.json ? `${JSON.stringify(view)}\n` : describe(view));
    return complete ? EXIT.ok : EXIT.degraded;
  } finally {
    archive.close();
  }
}

async function read(reader: CosmosReader, id: string): Promise<{ view: ArchivedCallView; complete: boolean }> {
  const tally = new TranscriptTally();
  const turns: TranscriptTurn[] = [];
  let summary: Record<string, unknown> | undefined;
  for await (const record of reader.call(id)) {
    tally.add(record);
    if (record.kind === 'turn') turns.push(turnOf(record));
    else if (record.kind === 'summary') summary ??= record.body;
  }
  const { state } = tally;
  if (state.kind === 'unknown') throw CALL_NOT_ARCHIVED.with(id);
  const view = { callConnectionId: id, state: describeState(state), summary, turns };
  return { view, complete: state.kind === 'complete' };
}

function describe({ callConnectionId, state, summary, turns }: ArchivedCallView): string {
  const lines = [`call ${callConnectionId}: ${state}`];
  if (summary) {
    const seconds = (Number(summary.endedAtMs) - Number(summary.startedAtMs)) / 1000;
    const partial = summary.partial === true ? ', ended without an owner' : '';
    lines.push(
      `${isoTime(summary.startedAtMs)}  ${seconds.toFixed(1)} s  ${String(summary.reason)}${partial}  workers ${workers(summary.workers)}`,
    );
  }
  const rows = turns.map(({ seq, at, role, text, beside, unreadable }) => [
    `${seq}${beside ? '*' : ''}`,
    at,
    role,
    unreadable === undefined ? text : `[${unreadable}]`,
  ]);
  const note = turns.some(({ beside }) => beside) ? '* another record stood under this turn\n' : '';
  return `${lines.join('\n')}\n${rows.length > 0 ? table(['TURN', 'TIME', 'ROLE', 'TEXT'], rows) : ''}${note}`;
}

function workers(value: unknown): string {
  return Array.isArray(value) && value.length > 0 ? value.join(', ') : '-';
}
