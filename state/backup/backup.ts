import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Clock } from '../../platform/clock.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { RedisClient } from '../redis/client.ts';
import { type DumpOptions, dumpRecords } from './dump.ts';
import { BACKUP_UNREADABLE } from './errors.ts';
import { type BackupEntry, BackupParser, BackupWriter, headerOf } from './format.ts';

export interface BackupOptions extends DumpOptions {
  /** The patient client: the whole database is read. */
  redis: RedisClient;
  keys: RedisKeyManager;
  clock: Clock;
  path: string;
}

/** Writes a backup in one step: until it is whole and on the disk there is none under that name. For its owner alone: records may be in clear. */
export async function writeBackup(options: BackupOptions): Promise<{ entries: number }> {
  const { redis, keys, clock, path } = options;
  const writer = new BackupWriter();
  const partial = `${path}.partial`;
  async function* lines(): AsyncGenerator<string> {
    yield writer.header(headerOf(keys, clock.wallMs()));
    for await (const entry of dumpRecords(redis, keys, options)) yield writer.entry(entry);
    yield writer.trailer();
  }
  try {
    await pipeline(Readable.from(lines()), createGzip(), createWriteStream(partial, { mode: 0o600, flags: 'w' }));
    await synced(partial);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return { entries: writer.entries };
}

/** Every entry of a backup, in order. Throws ERR_BACKUP_UNREADABLE when it is not whole; by then `use` has had the entries before the fault. */
export async function readBackup(
  path: string,
  use: (entry: BackupEntry, parser: BackupParser) => Promise<void> | void,
): Promise<BackupParser> {
  const parser = new BackupParser();
  const file = createReadStream(path);
  const text = file.pipe(createGunzip());
  // An error of the file does not pass through the pipe by itself.
  file.on('error', (error) => text.destroy(error));
  try {
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      const entry = parser.take(line);
      if (entry) await use(entry, parser);
    }
  } catch (error) {
    if (error instanceof RtvoiceError) throw error;
    throw BACKUP_UNREADABLE.with((error as NodeJS.ErrnoException).code ?? 'not readable', error);
  } finally {
    file.destroy();
    text.destroy();
  }
  parser.finish();
  return parser;
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
