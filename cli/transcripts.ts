import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { describeState } from '../state/cosmos/call_state.ts';
import { CosmosReader } from '../state/cosmos/reader.ts';
import { accountOptions, openArchive } from './cosmos_account.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { readingCodec } from './reading_codec.ts';
import { TranscriptTally, turnOf } from './transcript.ts';

const OPTIONS = {
  ...accountOptions,
  from: { type: 'string' },
  to: { type: 'string' },
  call: { type: 'string' },
  json: { type: 'boolean', default: false },
  jsonl: { type: 'boolean', default: false },
} as const;

const USAGE =
  'usage: rtvoice transcripts export [--from TIME --to TIME | --call ID] [--json | --jsonl] [--state-dir DIR]\n';

/**
 * `transcripts export`: turns as they are read, one JSON object a line (`--jsonl`, the default) or one array (`--json`). Behind the
 * turns of each call comes one object of kind `call` with its end record and how much of it is there. Memory holds a few pages.
 */
export async function transcripts(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  if (positionals.join(' ') !== 'export') return slip(io, 'transcripts needs export');
  if (values.json && values.jsonl) return slip(io, '--json and --jsonl exclude each other');
  if (values.call !== undefined && (values.from ?? values.to) !== undefined)
    return slip(io, '--call names one call; it takes no --from and --to');
  const fromMs = values.from === undefined ? 0 : Date.parse(values.from);
  const toMs = values.to === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(values.to);
  if (Number.isNaN(fromMs) || Number.isNaN(toMs) || fromMs >= toMs)
    return slip(io, '--from and --to need times such as 2026-11-25T00:00:00Z, the earlier one first');
  const archive = openArchive(values['state-dir']);
  try {
    const codec = await readingCodec(archive, process.env);
    const reader = new CosmosReader({ database: archive, ...(codec ? { codec } : {}) });
    const calls = values.call === undefined ? reader.calls({ fromMs, toMs }) : [values.call];
    const exported = await exportCalls(reader, calls, new Sink(io, values.json));
    io.err(`${exported.calls} calls, ${exported.turns} turns; ${exported.notComplete} calls are not complete\n`);
    return exported.notComplete === 0 ? EXIT.ok : EXIT.degraded;
  } finally {
    archive.close();
  }
}

interface Exported {
  calls: number;
  turns: number;
  notComplete: number;
}

export async function exportCalls(
  reader: CosmosReader,
  calls: AsyncIterable<string> | Iterable<string>,
  sink: Sink,
): Promise<Exported> {
  const exported = { calls: 0, turns: 0, notComplete: 0 };
  for await (const callConnectionId of calls) {
    const tally = new TranscriptTally();
    let summary: Record<string, unknown> | undefined;
    for await (const record of reader.call(callConnectionId)) {
      tally.add(record);
      if (record.kind === 'summary') summary ??= record.body;
      if (record.kind !== 'turn') continue;
      exported.turns += 1;
      await sink.put({ kind: 'turn', callConnectionId, ...turnOf(record) });
    }
    const { state } = tally;
    await sink.put({ kind: 'call', callConnectionId, state: state.kind, note: describeState(state), summary });
    exported.calls += 1;
    if (state.kind !== 'complete') exported.notComplete += 1;
  }
  sink.end();
  return exported;
}

/** Writes objects one after the other and waits where the reader of the output is slow. */
export class Sink {
  readonly #io: Io;
  readonly #asArray: boolean;
  #first = true;

  constructor(io: Io, asArray: boolean) {
    this.#io = io;
    this.#asArray = asArray;
  }

  async put(value: unknown): Promise<void> {
    const before = this.#asArray ? (this.#first ? '[\n' : ',\n') : '';
    this.#io.out(`${before}${JSON.stringify(value)}${this.#asArray ? '' : '\n'}`);
    this.#first = false;
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
  }

  end(): void {
    if (this.#asArray) this.#io.out(this.#first ? '[]\n' : '\n]\n');
  }
}

function slip(io: Io, text: string): ExitCode {
  io.err(`rtvoice: ${text}\n${USAGE}`);
  return EXIT.error;
}
