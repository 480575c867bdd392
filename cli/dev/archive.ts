import { errorCode } from '../../platform/errors.ts';
import type { CosmosDatabase } from '../../state/cosmos/client.ts';
import { CosmosReader } from '../../state/cosmos/reader.ts';
import { type SealingReport, verifyCosmos } from '../../state/sealing/verify.ts';
import { openLocalArchive } from '../cosmos_account.ts';
import { readingCodec } from '../reading_codec.ts';
import { TranscriptTally, turnOf } from '../transcript.ts';
import type { TranscriptLine } from './report.ts';

export interface ArchivedTranscript {
  readonly turns: readonly TranscriptLine[];
  readonly workers: readonly string[];
  /** Its end record is there, and every turn that it counts. */
  readonly complete: boolean;
}

interface Opened {
  readonly database: CosmosDatabase;
  readonly reader: CosmosReader;
}

const NOTHING: ArchivedTranscript = { turns: [], workers: [], complete: false };
const ROLES: ReadonlySet<string> = new Set(['caller', 'assistant', 'system'] satisfies TranscriptLine['role'][]);

/** The archive of the local mode in a state folder, read through the SDK and opened with the folder's keys, as `rtvoice calls show` does. */
export class LocalArchive {
  readonly #stateDir: string;
  #opened: Promise<Opened> | undefined;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  /** What there is by now; nothing while the archive does not answer. */
  async transcript(callConnectionId: string): Promise<ArchivedTranscript> {
    try {
      return await read((await this.#open()).reader, callConnectionId);
    } catch (error) {
      // Cosmos DB may be away on purpose.
      if (errorCode(error) === 'ERR_COSMOS_UNAVAILABLE') return NOTHING;
      throw error;
    }
  }

  async verify(): Promise<SealingReport> {
    const { database } = await this.#open();
    const container = (name: 'transcripts' | 'profiles' | 'analytics') => database.container(name);
    return verifyCosmos({
      transcripts: container('transcripts'),
      profiles: container('profiles'),
      analytics: container('analytics'),
    });
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.database.close();
  }

  #open(): Promise<Opened> {
    this.#opened ??= open(this.#stateDir);
    return this.#opened;
  }
}

async function open(stateDir: string): Promise<Opened> {
  const { database, env } = openLocalArchive(stateDir);
  const codec = await readingCodec(database, env);
  return { database, reader: new CosmosReader({ database, ...(codec ? { codec } : {}) }) };
}

async function read(reader: CosmosReader, callConnectionId: string): Promise<ArchivedTranscript> {
  const tally = new TranscriptTally();
  const turns: TranscriptLine[] = [];
  let workers: readonly string[] = [];
  for await (const record of reader.call(callConnectionId)) {
    tally.add(record);
    if (record.kind === 'summary' && Array.isArray(record.body?.workers)) workers = record.body.workers as string[];
    if (record.kind !== 'turn') continue;
    const { seq, role, text } = turnOf(record);
    if (ROLES.has(role)) turns.push({ seq, role: role as TranscriptLine['role'], text });
  }
  return { turns, workers, complete: tally.state.kind === 'complete' };
}
