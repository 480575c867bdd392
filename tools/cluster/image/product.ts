import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ships } from '../../check/imports.ts';
import { projectFiles, ROOT } from '../../files.ts';
import { IMAGES } from '../paths.ts';
import { type Layer, layerOf, madeLayer } from './layer.ts';
import { run } from './run.ts';

/** Types, maps and texts of packages: most of their files, and none of it is read at run time. */
const UNUSED = ['*.d.ts', '*.d.mts', '*.d.cts', '*.map', '*.md', '*.ts'].flatMap((name) => ['-o', '-name', name]);
const MODULE_FILES = ['package.json', 'package-lock.json', '.npmrc'];
/** What `npm ci` installs from; the scripts of package.json are not part of it. */
const MODULE_FIELDS = ['dependencies', 'optionalDependencies', 'bundleDependencies', 'overrides'];

const shortHash = (parts: Iterable<string | Buffer>): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
};
const read = (file: string) => readFileSync(join(ROOT, file));

/** node_modules as a production install makes it, on the Node of the image: npm leaves out binaries that do not fit its own. */
export async function moduleLayer(nodeFolder: string, say: (line: string) => void): Promise<Layer> {
  const manifest = JSON.parse(read('package.json').toString()) as Record<string, unknown>;
  const fields = JSON.stringify(MODULE_FIELDS.map((name) => manifest[name]));
  const key = shortHash([fields, read('package-lock.json'), read('vendor/uws/index.js'), UNUSED.join()]);
  const folder = join(IMAGES, `modules-${key}`);
  if (!existsSync(folder)) {
    say('installing the packages of the image (once for each lock file)');
    const app = join(`${folder}.new`, 'app');
    rmSync(`${folder}.new`, { recursive: true, force: true });
    mkdirSync(app, { recursive: true });
    for (const file of MODULE_FILES.filter((name) => existsSync(join(ROOT, name))))
      cpSync(join(ROOT, file), join(app, file));
    cpSync(join(ROOT, 'vendor'), join(app, 'vendor'), { recursive: true });
    const env = { PATH: `${nodeFolder}:${withoutOwnNode(process.env.PATH ?? '')}` };
    run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], { cwd: app, env });
    rmSync(join(app, 'node_modules/@uwsjs/linux-x64-22'), { recursive: true, force: true });
    run('find', [join(app, 'node_modules'), '-type', 'f', '(', '-false', ...UNUSED, ')', '-delete']);
    renameSync(`${folder}.new`, folder);
  }
  return layerOf(folder, `${folder}.layer`);
}

/** What `npm run build` makes of these very sources, built beside dist/ and only when they have changed. */
export async function productLayer(say: (line: string) => void): Promise<Layer> {
  const sources = ['tsconfig.json', 'tsconfig.build.json', 'tools/build.ts', ...projectFiles().filter(ships)];
  const key = shortHash(sources.flatMap((file) => [file, read(file)]));
  const folder = join(IMAGES, `product-${key}`);
  const made = madeLayer(`${folder}.layer`);
  if (made) return made;
  say('building the product for the image');
  rmSync(folder, { recursive: true, force: true });
  try {
    run(process.execPath, [join(ROOT, 'tools/build.ts'), join(folder, 'app/dist')], { cwd: ROOT });
    return await layerOf(folder, `${folder}.layer`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** npm must run on the Node that is named first, not on the one of this checkout. */
function withoutOwnNode(path: string): string {
  return path
    .split(':')
    .filter((folder) => folder !== join(ROOT, 'node_modules/.bin'))
    .join(':');
}
