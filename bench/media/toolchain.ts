import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { defineError } from '../../platform/errors.ts';
import { frameFile } from './frames.ts';

const run = promisify(execFile);

export const BENCH_TOOL_MISSING = defineError('ERR_BENCH_TOOL', {
  status: 500,
  message: 'the media benchmark needs a tool that is not here',
  remedy:
    'Install gcc with the C library headers (Debian: apt-get install gcc libc6-dev); nothing else of rtvoice needs it.',
});

const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rtvoice', 'bench');

export interface Generator {
  program: string;
  frames: string;
}

/** The load generator, compiled once per version of its source, and its frames. Throws ERR_BENCH_TOOL without a C compiler. */
export async function prepareGenerator(): Promise<Generator> {
  const source = new URL('loadgen.c', import.meta.url).pathname;
  const version = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 12);
  const folder = cacheFolder();
  await mkdir(folder, { recursive: true });
  const program = join(folder, `loadgen-${version}`);
  if (!(await exists(program))) {
    const fresh = `${program}.${process.pid}`;
    try {
      await run('gcc', ['-O2', '-Wall', '-o', fresh, source]);
    } catch (error) {
      throw BENCH_TOOL_MISSING.with('gcc', error);
    }
    await rename(fresh, program);
  }
  const frames = join(folder, 'frames.bin');
  await writeFile(frames, frameFile());
  return { program, frames };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Debian's interpreter when it has all that FastAPI's best case needs; undefined otherwise. */
export async function findFastApi(): Promise<string | undefined> {
  const python = '/usr/bin/python3';
  return run(python, ['-c', 'import fastapi, uvicorn, uvloop, httptools, websockets']).then(
    () => python,
    () => undefined,
  );
}

/** Puts a command on one core where there are two: the server on the first, the generator on the second. */
export async function pinning(): Promise<(core: 0 | 1, command: string[]) => string[]> {
  if (availableParallelism() < 2) return (_core, command) => command;
  const pins = await run('taskset', ['-c', '1', 'true']).then(
    () => true,
    () => false,
  );
  return (core, command) => (pins ? ['taskset', '-c', String(core), ...command] : command);
}
