import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface Layer {
  /** Compressed, as it stands in an archive. */
  readonly file: string;
  readonly digest: string;
  readonly size: number;
  /** Of the bytes before compression. */
  readonly diffId: string;
}

/** The layer that an earlier run has made as `file`. */
export function madeLayer(file: string): Layer | undefined {
  const note = `${file}.json`;
  if (!existsSync(note) || !existsSync(file)) return undefined;
  return { file, ...(JSON.parse(readFileSync(note, 'utf8')) as Omit<Layer, 'file'>) };
}

/** A folder, or those `paths` of it, as a layer of root's; the same content always gives the same digests. Kept as `file`, and taken from there the next time. */
export async function layerOf(folder: string, file: string, paths?: () => readonly string[]): Promise<Layer> {
  const made = madeLayer(file);
  if (made) return made;
  const listed = paths ? ['--no-recursion', '--null', '--files-from=-'] : ['.'];
  const fixed = ['--sort=name', '--mtime=@0', '--numeric-owner', '--format=gnu'];
  const tar = spawn('tar', [...fixed, '-C', folder, '-cf', '-', ...listed], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(tar, 'close');
  tar.stdin.end(paths?.().join('\0'));
  const plain = createHash('sha256');
  const packed = createHash('sha256');
  const measured = new PassThrough();
  tar.stdout.on('data', (chunk: Buffer) => plain.update(chunk));
  measured.on('data', (chunk: Buffer) => packed.update(chunk));
  // Fast: unpacked soon, and never sent anywhere.
  await pipeline(tar.stdout, createGzip({ level: 1 }), measured, createWriteStream(`${file}.new`));
  const [code] = (await closed) as [number];
  if (code !== 0) throw new Error(`tar of ${folder} failed`);
  renameSync(`${file}.new`, file);
  const layer = {
    ...{ digest: `sha256:${packed.digest('hex')}`, size: statSync(file).size },
    diffId: `sha256:${plain.digest('hex')}`,
  };
  writeFileSync(`${file}.json`, JSON.stringify(layer));
  return { file, ...layer };
}
