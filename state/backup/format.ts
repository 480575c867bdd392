import { createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import type { KeyLayout, RedisKeyManager } from '../keys/key_manager.ts';
import { BACKUP_OF_ANOTHER, BACKUP_UNREADABLE } from './errors.ts';

/**
 * A backup is gzip of lines of JSON: a header, one line for each key, pool and call that is not archived, a trailer with their number
 * and the SHA-256 of all lines before it. Values are what DUMP gave: a server of the same or a newer version takes them back, with everything that belongs to a type.
 */
export const BACKUP_VERSION = 1;

const header = z.object({
  rtvoice: z.literal('backup'),
  v: z.literal(BACKUP_VERSION),
  appPrefix: z.string(),
  environment: z.string(),
  layout: z.enum(['standalone', 'cluster'] satisfies KeyLayout[]),
  takenAtMs: z.number(),
});
const keyLine = z.object({ key: z.string(), ttlMs: z.int().min(1), dump: z.base64() });
const unsentLine = z.object({ pool: z.string(), callRef: z.string(), callConnectionId: z.string() });
const poolLine = z.object({ pool: z.string(), fenceFloor: z.int().min(0) });
const trailer = z.object({ entries: z.int(), sha256: z.string() });

export type BackupHeader = z.infer<typeof header>;
/** One key as DUMP gave it. */
export interface KeyEntry {
  key: string;
  ttlMs: number;
  dump: Buffer;
}
/** A call of a pool whose records are not all archived. */
export type UnsentEntry = z.infer<typeof unsentLine>;
/** A pool, by its tag, and the fence above which its calls are placed. */
export type PoolEntry = z.infer<typeof poolLine>;
export type BackupEntry = KeyEntry | UnsentEntry | PoolEntry;

export function headerOf(keys: RedisKeyManager, takenAtMs: number): BackupHeader {
  const { appPrefix, environment, layout } = keys;
  return { rtvoice: 'backup', v: BACKUP_VERSION, appPrefix, environment, layout, takenAtMs };
}

export function checkFleet(read: BackupHeader, keys: RedisKeyManager): void {
  for (const field of ['appPrefix', 'environment', 'layout'] as const) {
    if (read[field] !== keys[field]) throw BACKUP_OF_ANOTHER.with(`${field} ${read[field]}, here ${keys[field]}`);
  }
}

/** Lines of a backup, ends of line included. */
export class BackupWriter {
  readonly #hash = createHash('sha256');
  #entries = 0;

  header(value: BackupHeader): string {
    return this.#line(value);
  }

  entry(entry: BackupEntry): string {
    this.#entries += 1;
    return this.#line('dump' in entry ? { ...entry, dump: entry.dump.toString('base64') } : entry);
  }

  trailer(): string {
    return `${JSON.stringify({ entries: this.#entries, sha256: this.#hash.digest('hex') })}\n`;
  }

  get entries(): number {
    return this.#entries;
  }

  #line(value: unknown): string {
    const line = `${JSON.stringify(value)}\n`;
    this.#hash.update(line);
    return line;
  }
}

/** Reads what {@link BackupWriter} wrote, a line at a time; `finish` says whether it was all there. */
export class BackupParser {
  readonly #hash: Hash = createHash('sha256');
  #header: BackupHeader | undefined;
  #entries = 0;
  #complete = false;
  #line = 0;

  get header(): BackupHeader {
    if (!this.#header) throw BACKUP_UNREADABLE.with('it is empty');
    return this.#header;
  }

  /** Undefined for the header and the trailer. Throws ERR_BACKUP_UNREADABLE with the line. */
  take(line: string): BackupEntry | undefined {
    this.#line += 1;
    const value = this.#parse(line);
    if (this.#complete) throw this.#fault('something follows the end');
    if (!this.#header) {
      const parsed = header.safeParse(value);
      if (!parsed.success) throw this.#fault('this is no backup of a version that can be read');
      this.#header = parsed.data;
    } else {
      const end = trailer.safeParse(value);
      if (end.success) return this.#end(end.data);
      this.#entries += 1;
      this.#hash.update(`${line}\n`);
      return this.#entry(value);
    }
    this.#hash.update(`${line}\n`);
    return undefined;
  }

  /** Throws when the end is missing: the backup was cut. */
  finish(): { entries: number } {
    if (!this.#complete) throw BACKUP_UNREADABLE.with(`it ends after ${this.#entries} entries, without its last line`);
    return { entries: this.#entries };
  }

  #entry(value: unknown): BackupEntry {
    const key = keyLine.safeParse(value);
    if (key.success) return { ...key.data, dump: Buffer.from(key.data.dump, 'base64') };
    const other = z.union([unsentLine, poolLine]).safeParse(value);
    if (!other.success) throw this.#fault('neither a key with a time to live and a value, nor a call or a pool');
    return other.data;
  }

  #end(end: z.infer<typeof trailer>): undefined {
    const sha256 = this.#hash.digest('hex');
    if (end.entries !== this.#entries || end.sha256 !== sha256) throw this.#fault('lines were changed, added or lost');
    this.#complete = true;
    return undefined;
  }

  #parse(line: string): unknown {
    try {
      return JSON.parse(line);
    } catch {
      throw this.#fault('not JSON');
    }
  }

  #fault(what: string): Error {
    return BACKUP_UNREADABLE.with(`line ${this.#line}: ${what}`);
  }
}
