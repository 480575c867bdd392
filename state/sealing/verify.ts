import { basename } from 'node:path';
import type { Container } from '@azure/cosmos';
import { plainMembers, type RecordKind } from '../../security/sealing/policy.ts';
import { recordOf } from '../cosmos/documents.ts';
import { isObject, parseEnvelope } from '../envelope.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import { ARCHIVE_KINDS } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';
import { readSpool, spoolFolders } from '../spool/folders.ts';
import type { SpoolRecord } from '../spool/frames.ts';
import { profileBody } from './archived.ts';

type Violation = RecordKind | 'unreadable' | 'application';

/** `spool`: what waits on a disk for Redis. */
export const VERIFIED_STORES = ['redis', 'cosmos', 'spool'] as const;
export type VerifiedStore = (typeof VERIFIED_STORES)[number];

/** What a store was found to hold. Never content: kinds and counts, and names of keys for who mends it. */
export interface SealingReport {
  readonly store: VerifiedStore;
  /** Records that were looked at. */
  readonly records: number;
  /** By kind of record. `unreadable`: no record at all. `application`: a field that an application keeps in a session in clear. */
  readonly violations: ReadonlyMap<Violation, number>;
  /** Where the first of them stand. */
  readonly examples: readonly string[];
}

const MAX_EXAMPLES = 10;

interface Stored {
  readonly kind: RecordKind;
  /** `hash`: in the field `_record`. `stream`: in the field `e` of each entry, whose field `kind` may name another kind. */
  readonly type: 'string' | 'hash' | 'stream';
}

const STORED: Readonly<Record<string, Stored>> = {
  'call session': { kind: 'session', type: 'hash' },
  'call summary': { kind: 'summary', type: 'string' },
  'call recording': { kind: 'context', type: 'string' },
  'call participants': { kind: 'context', type: 'string' },
  'call media_stream': { kind: 'context', type: 'string' },
  'call outbox': { kind: 'turn', type: 'stream' },
  'call quarantine': { kind: 'turn', type: 'stream' },
  'conversation context': { kind: 'context', type: 'string' },
  'conversation history': { kind: 'turn', type: 'stream' },
  'profile copy': { kind: 'profile', type: 'string' },
};
/** The owner's record in a session, and the mark of sessions that an application holds; other fields are an application's own. */
const RECORD_FIELD = '_record';
const APPLICATION_MARK = '_app';
const KINDS: ReadonlySet<string> = new Set(ARCHIVE_KINDS);

class Findings {
  readonly violations = new Map<Violation, number>();
  readonly examples: string[] = [];
  records = 0;

  add(kind: Violation, place: string): void {
    this.violations.set(kind, (this.violations.get(kind) ?? 0) + 1);
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(place);
  }
}

/** Walks the keyspace in small steps and reads up to `maxKeys` keys with records, `perStream` entries from both ends of each stream. */
export async function verifyRedis(options: {
  redis: RedisClient;
  keys: RedisKeyManager;
  maxKeys?: number;
  perStream?: number;
}): Promise<SealingReport> {
  const { redis, keys, maxKeys = 10_000, perStream = 50 } = options;
  const findings = new Findings();
  let read = 0;
  for await (const names of scanKeys(redis, keys.pattern())) {
    for (const name of names) {
      const parsed = keys.parse(name);
      const stored = parsed && STORED[`${parsed.dataType} ${parsed.component}`];
      if (!stored || read >= maxKeys) continue;
      read += 1;
      for (const { kind, text } of await recordsOf(redis, name, stored, perStream)) look(findings, kind, text, name);
    }
    if (read >= maxKeys) break;
  }
  return { store: 'redis', ...findings };
}

async function recordsOf(
  redis: RedisClient,
  name: string,
  { kind, type }: Stored,
  perStream: number,
): Promise<{ kind: RecordKind | 'application'; text: string }[]> {
  if (type === 'string') {
    const text = await redis.command<string | null>('GET', name);
    return text === null ? [] : [{ kind, text }];
  }
  if (type === 'hash') {
    const fields = Object.entries(await hashOf(redis, name)).filter(([field]) => field !== APPLICATION_MARK);
    return fields.map(([field, text]) => ({ kind: field === RECORD_FIELD ? kind : 'application', text }));
  }
  const [oldest, newest] = await Promise.all([
    redis.command<[string, string[]][]>('XRANGE', name, '-', '+', 'COUNT', perStream),
    redis.command<[string, string[]][]>('XREVRANGE', name, '+', '-', 'COUNT', perStream),
  ]);
  return [...new Map([...oldest, ...newest]).values()].map((fields) => {
    const field = (wanted: string) => fields.find((_, at) => at % 2 === 1 && fields[at - 1] === wanted);
    const named = field('kind');
    return { kind: isKind(named) ? named : kind, text: field('e') ?? '' };
  });
}

/** HGETALL, whichever shape the client's protocol version gives it. */
async function hashOf(redis: RedisClient, name: string): Promise<Record<string, string>> {
  const reply = await redis.command<string[] | Record<string, string>>('HGETALL', name);
  if (!Array.isArray(reply)) return reply;
  return Object.fromEntries(Array.from({ length: reply.length / 2 }, (_, at) => [reply[2 * at], reply[2 * at + 1]]));
}

function look(findings: Findings, kind: RecordKind | 'application', text: string, place: string): void {
  findings.records += 1;
  // Empty values say nothing of anybody.
  if (kind === 'application') return void (text !== '' && findings.add(kind, place));
  try {
    const { body } = parseEnvelope({ kind, id: '' }, text);
    if (plainMembers(kind, body).length > 0) findings.add(kind, place);
  } catch {
    findings.add('unreadable', place);
  }
}

/** Reads up to `maxItems` documents of each container that holds records of callers. Rejects with the SDK's error. */
export async function verifyCosmos(options: {
  transcripts: Container;
  profiles: Container;
  analytics?: Container;
  maxItems?: number;
}): Promise<SealingReport> {
  const { transcripts, profiles, analytics, maxItems = 10_000 } = options;
  const findings = new Findings();
  for (const container of analytics ? [transcripts, analytics] : [transcripts]) {
    for await (const document of documents(container, maxItems)) {
      findings.records += 1;
      const { kind, id, callConnectionId, body } = recordOf(document);
      const place = `${container.id}/${callConnectionId}/${id}`;
      if (!isKind(kind)) findings.add('unreadable', place);
      else if (plainMembers(kind, body).length > 0) findings.add(kind, place);
    }
  }
  for await (const document of documents(profiles, maxItems)) {
    findings.records += 1;
    if (plainMembers('profile', profileBody(document)).length > 0)
      findings.add('profile', `${profiles.id}/${String(document.id)}`);
  }
  return { store: 'cosmos', ...findings };
}

/** Reads what the spools under a folder still have to bring, those of running workers included. Rejects with the file system's error. */
export async function verifySpool(parent: string): Promise<SealingReport> {
  const findings = new Findings();
  for (const folder of await spoolFolders(parent)) {
    for (const { callConnectionId, entryId, kind, text } of await spooled(folder)) {
      const place = `${basename(folder)}/${callConnectionId}/${entryId}`;
      if (isKind(kind)) look(findings, kind, text, place);
      else findings.add('unreadable', place);
    }
  }
  return { store: 'spool', ...findings };
}

/** A spool goes once Redis has it, which may be while it is read. */
async function spooled(folder: string): Promise<readonly SpoolRecord[]> {
  try {
    return (await readSpool(folder)).records;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function* documents(container: Container, maxItems: number): AsyncIterable<Record<string, unknown>> {
  const pages = container.items.query<unknown>('SELECT * FROM c', { maxItemCount: 100 });
  let count = 0;
  while (pages.hasMoreResults() && count < maxItems) {
    const { resources } = await pages.fetchNext();
    for (const document of resources ?? []) {
      count += 1;
      if (isObject(document) && count <= maxItems) yield document;
    }
  }
}

function isKind(value: unknown): value is RecordKind {
  return typeof value === 'string' && KINDS.has(value);
}

/** Violations of a report, all kinds together. */
export function violationCount(report: SealingReport): number {
  return [...report.violations.values()].reduce((sum, count) => sum + count, 0);
}
