import { createHash } from 'node:crypto';
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layer } from './layer.ts';
import { run } from './run.ts';

export interface ImageConfig {
  readonly reference: string;
  readonly user: string;
  readonly workingDirectory: string;
  readonly entrypoint: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const MEDIA = 'application/vnd.oci.image';

/** The same for the same content alone. */
export function archiveName(config: ImageConfig, layers: readonly Layer[]): string {
  const content = JSON.stringify([config, layers.map(({ digest }) => digest)]);
  const name = /([^/]+):[^/]*$/.exec(config.reference)?.[1] ?? 'image';
  return `${name}-${createHash('sha256').update(content).digest('hex').slice(0, 16)}.tar`;
}

/** An archive that `ctr images import` and `kind load image-archive` take; see the OCI image layout specification 1.1. */
export function writeArchive(file: string, config: ImageConfig, layers: readonly Layer[]): void {
  const folder = mkdtempSync(join(dirname(file), '.oci-'));
  const blobs = join(folder, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (content: object) => {
    const bytes = Buffer.from(JSON.stringify(content));
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  try {
    for (const layer of layers) placeBlob(layer.file, join(blobs, layer.digest.slice('sha256:'.length)));
    const image = put({
      ...{ architecture: 'amd64', os: 'linux' },
      config: {
        User: config.user,
        WorkingDir: config.workingDirectory,
        Entrypoint: config.entrypoint,
        Env: Object.entries(config.env).map(([name, value]) => `${name}=${value}`),
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const manifest = put({
      ...{ schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json` },
      config: { mediaType: `${MEDIA}.config.v1+json`, ...image },
      layers: layers.map(({ digest, size }) => ({ mediaType: `${MEDIA}.layer.v1.tar+gzip`, digest, size })),
    });
    const { reference } = config;
    const annotations = {
      'io.containerd.image.name': reference,
      'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
    };
    const entry = {
      mediaType: `${MEDIA}.manifest.v1+json`,
      ...manifest,
      platform: { architecture: 'amd64', os: 'linux' },
      annotations,
    };
    writeFileSync(
      join(folder, 'index.json'),
      JSON.stringify({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [entry] }),
    );
    writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    run('tar', ['--sort=name', '--mtime=@0', '-C', folder, '-cf', `${file}.new`, 'oci-layout', 'index.json', 'blobs']);
    renameSync(`${file}.new`, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A link where both are on one disk: a base layer is hundreds of MB. */
function placeBlob(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
