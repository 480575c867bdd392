import { IDENTIFIER } from '../../contract/ids.ts';
import { errorCode } from '../../platform/errors.ts';
import { callKeys } from '../calls/keys.ts';
import { outboxFields, type StreamItem, streamField } from '../calls/stored_records.ts';
import { parseEnvelope } from '../envelope.ts';
import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';
import type { CallArchive, WriteOutcome } from './ports.ts';

/** A record that the archive has refused: where it belongs and why, never its content. */
export interface QuarantinedRecord {
  readonly callConnectionId: string;
  readonly streamId: string;
  readonly recordId: string;
  readonly kind: string;
  readonly reason: string;
}

export interface QuarantineFilter {
  readonly callConnectionId?: string | undefined;
  readonly recordId?: string | undefined;
}

export interface QuarantineReplay {
  readonly replayed: QuarantinedRecord[];
  /** Refused again, or not readable; they stay. The reason is the new one. */
  readonly refused: QuarantinedRecord[];
  /** The archive takes nothing now; these were not tried, or may be tried again. */
  readonly left: QuarantinedRecord[];
}

interface Entry {
  readonly told: QuarantinedRecord;
  readonly item: StreamItem;
}

const PAGE = 200;
/** What one command looks at; a longer list is worked off in several. */
const MAX_RECORDS = 10_000;

/** The quarantines of all calls in Redis. */
export class Quarantine {
  readonly #redis: RedisClient;
  readonly #keys: RedisKeyManager;

  constructor(options: { redis: RedisClient; keys: RedisKeyManager }) {
    this.#redis = options.redis;
    this.#keys = options.keys;
  }

  /** Throws ERR_REDIS_…. */
  async list(filter: QuarantineFilter = {}): Promise<QuarantinedRecord[]> {
    return (await this.#entries(filter)).map(({ told }) => told);
  }

  /**
   * Writes what matches to the archive once more. A record leaves the quarantine only after the archive has confirmed it; ids are
   * fixed, so a replay that failed half-way is repeated without harm. Throws ERR_REDIS_….
   */
  async replay(archive: Pick<CallArchive, 'write'>, filter: QuarantineFilter = {}): Promise<QuarantineReplay> {
    const entries = await this.#entries(filter);
    const report: QuarantineReplay = { replayed: [], refused: [], left: [] };
    for (const [at, { told, item }] of entries.entries()) {
      const outcome = await write(archive, told, item);
      if (outcome.kind === 'later') {
        report.left.push(...entries.slice(at).map((entry) => entry.told));
        break;
      }
      if (outcome.kind === 'refused') {
        report.refused.push({ ...told, reason: outcome.reason });
        continue;
      }
      await this.#redis.command('XDEL', this.#key(told.callConnectionId), told.streamId);
      report.replayed.push(told);
    }
    return report;
  }

  async #entries({ callConnectionId, recordId }: QuarantineFilter): Promise<Entry[]> {
    const calls = callConnectionId === undefined ? await this.#calls() : [callConnectionId];
    const entries: Entry[] = [];
    for (const call of calls) {
      for await (const item of this.#items(call)) {
        const told = describe(call, item);
        if (recordId === undefined || told.recordId === recordId) entries.push({ told, item });
        if (entries.length >= MAX_RECORDS) return entries;
      }
    }
    return entries;
  }

  async #calls(): Promise<string[]> {
    const calls = new Set<string>();
    const pattern = this.#keys.pattern({ dataType: 'call', component: Component.QUARANTINE });
    for await (const page of scanKeys(this.#redis, pattern)) {
      for (const key of page) {
        const identifier = this.#keys.parse(key)?.identifier;
        if (identifier !== undefined) calls.add(identifier);
      }
    }
    return [...calls].sort();
  }

  async *#items(call: string): AsyncGenerator<StreamItem> {
    const key = this.#key(call);
    let from = '-';
    for (;;) {
      const page = await this.#redis.command<StreamItem[]>('XRANGE', key, from, '+', 'COUNT', PAGE);
      yield* page;
      const last = page.at(-1)?.[0];
      if (page.length < PAGE || last === undefined) return;
      from = `(${last}`;
    }
  }

  #key(call: string): string {
    return callKeys(this.#keys).quarantine(call);
  }
}

function describe(callConnectionId: string, item: StreamItem): QuarantinedRecord {
  const field = (name: string) => streamField(item, name) ?? '';
  return {
    callConnectionId,
    streamId: item[0],
    recordId: field('id'),
    kind: field('kind'),
    reason: field('reason'),
  };
}

async function write(
  archive: Pick<CallArchive, 'write'>,
  { callConnectionId }: QuarantinedRecord,
  item: StreamItem,
): Promise<WriteOutcome> {
  // The key of an id outside the grammar holds its hash: the call cannot be named any more.
  if (!IDENTIFIER.test(callConnectionId) || callConnectionId.startsWith('h-'))
    return { kind: 'refused', reason: 'the id of the call is known as a hash only' };
  try {
    const { entryId, kind, record } = outboxFields(callConnectionId, item);
    const { header, body } = parseEnvelope({ kind, id: `${callConnectionId}/${entryId}` }, record);
    return await archive.write({ callConnectionId, id: entryId, kind, header, body });
  } catch (error) {
    return { kind: 'refused', reason: errorCode(error) };
  }
}
