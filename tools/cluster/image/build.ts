import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { withLock } from '../lock.ts';
import { IMAGES } from '../paths.ts';
import { baseSystem, type Flavour, USER_ID } from './base.ts';
import { difference } from './difference.ts';
import { type Layer, layerOf } from './layer.ts';
import { archiveName, type ImageConfig, writeArchive } from './oci.ts';
import { moduleLayer, productLayer } from './product.ts';
import { run } from './run.ts';

export interface BuiltImage {
  readonly reference: string;
  /** OCI archive; another content has another path. */
  readonly archive: string;
}

type Say = (line: string) => void;

/** Made again for each change of the sources or the lock file: of each kind only the newest stay. */
const MADE_OFTEN = [
  /^store-[0-9a-f]+$/,
  /^rtvoice-rtvoice-[0-9a-f]+\.tar$/,
  /^rtvoice-tools-[0-9a-f]+\.tar$/,
  /^product-[0-9a-f]+\.layer$/,
  /^modules-[0-9a-f]+\.layer$/,
];
const KEPT = 4;
const PAUSE = `
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) { signal(SIGINT, stop); signal(SIGTERM, stop); signal(SIGCHLD, reap); for (;;) pause(); }
`;

type Images = Record<Flavour, BuiltImage>;

/** What a test run has built at its start: its later files test the same, whatever happens to the sources meanwhile. */
export const BUILT_VARIABLE = 'RTVOICE_BUILT_IMAGES';

/** The product of this checkout on Debian and Node as in production, and the same with what stands beside it in tests. Needs root. */
export async function buildImages(say: Say): Promise<Images> {
  const built = process.env[BUILT_VARIABLE];
  if (built !== undefined) return JSON.parse(built) as Images;
  return locked(say, async () => {
    say('building the images');
    const startMs = performance.now();
    const [rtvoice, tools] = [baseSystem('rtvoice', say), baseSystem('tools', say)];
    const base = await layerOf(rtvoice, `${rtvoice}.layer`);
    // Only what it has more: both images share everything else on a node.
    const extra = await layerOf(tools, `${tools}.extra.layer`, () => difference(tools, rtvoice));
    const modules = await moduleLayer(join(rtvoice, 'usr/bin'), say);
    const layer = await productLayer(say);
    const images = {
      rtvoice: archive(config('rtvoice'), [base, modules, layer]),
      tools: archive(config('tools'), [base, modules, extra, layer]),
    };
    removeOld(Object.values(images).map(({ archive: path }) => path));
    say(`built the images in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    return images;
  });
}

/** The container that every Pod is built around: it waits. */
export function pauseImage(): Promise<BuiltImage> {
  return locked(
    () => undefined,
    async () => {
      const folder = join(IMAGES, 'pause');
      if (!existsSync(folder)) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(IMAGES, 'pause.c'), PAUSE);
        run('gcc', ['-Os', '-static', '-o', join(folder, 'pause'), join(IMAGES, 'pause.c')]);
      }
      const config = { user: '65532', workingDirectory: '/', entrypoint: ['/pause'], env: {} };
      return archive({ reference: 'localhost/pause:1', ...config }, [
        await layerOf(folder, join(IMAGES, 'pause.layer')),
      ]);
    },
  );
}

function config(flavour: Flavour): ImageConfig {
  return {
    reference: `localhost/rtvoice-${flavour}:test`,
    user: `${USER_ID}:${USER_ID}`,
    workingDirectory: '/app',
    entrypoint: ['node', '/app/dist/cli/main.js'],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', NODE_ENV: 'production' },
  };
}

/** Two runs at once must not write the same files. */
function locked<T>(say: Say, work: () => Promise<T>): Promise<T> {
  return withLock(join(IMAGES, '.lock'), () => say('waiting for another build of the images'), work);
}

function archive(config: ImageConfig, layers: readonly Layer[]): BuiltImage {
  const path = join(IMAGES, archiveName(config, layers));
  if (!existsSync(path)) writeArchive(path, config, layers);
  const now = new Date();
  for (const { file } of layers) utimesSync(file, now, now);
  return { reference: config.reference, archive: path };
}

function removeOld(inUse: readonly string[]): void {
  const entries = readdirSync(IMAGES).map((name) => join(IMAGES, name));
  for (const kind of MADE_OFTEN) {
    const old = entries
      .filter((path) => kind.test(basename(path)) && !inUse.includes(path))
      .map((path) => ({ path, usedMs: statSync(path).mtimeMs }))
      .sort((one, other) => other.usedMs - one.usedMs)
      .slice(KEPT);
    // With what belongs to it: its note, its lock, the folder that it was made from.
    for (const { path } of old)
      for (const part of [path, `${path}.json`, `${path}.lock`, path.replace(/\.layer$/, '')])
        rmSync(part, { recursive: true, force: true });
  }
}
