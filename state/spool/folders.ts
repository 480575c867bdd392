import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import { decodeFrames, openRecords, type SpoolRecord } from './frames.ts';

const NAME = /^spool-(\d+)-(\d+)-[A-Za-z0-9]+$/;
const PART = /\.spool$/;

/** The spool of a process names the process, so that what a dead one left is told from what a live one uses. */
export function spoolFolder(parent: string, incarnation: string): string {
  const { pid, startTicks } = identify(process.pid) as ProcessIdentity;
  return join(parent, `spool-${pid}-${startTicks}-${incarnation}`);
}

/**
 * Spools under `parent` whose process is gone, taken by this process: the rename succeeds for one of several that try.
 * A folder that cannot be taken is left for the next round.
 */
export async function takeAbandoned(parent: string, newName: () => string): Promise<string[]> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const taken: string[] = [];
  for (const name of (await readdir(parent)).sort()) {
    const [, pid, startTicks] = NAME.exec(name) ?? [];
    if (pid === undefined || isRunning({ pid: Number(pid), startTicks: Number(startTicks) })) continue;
    const mine = spoolFolder(parent, newName());
    try {
      await rename(join(parent, name), mine);
      taken.push(mine);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return taken;
}

/** Every spool under `parent`, also those of processes that run. */
export async function spoolFolders(parent: string): Promise<string[]> {
  return (await readdir(parent))
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(parent, name));
}

/** What a spool still has to bring. `torn`: bytes of a write that was under way when its process died. */
export async function readSpool(folder: string): Promise<{ records: SpoolRecord[]; torn: number }> {
  const parts = (await readdir(folder)).filter((name) => PART.test(name)).sort();
  let torn = 0;
  const frames = [];
  for (const part of parts) {
    const read = decodeFrames(await readFile(join(folder, part)));
    torn += read.torn;
    frames.push(...read.frames);
  }
  return { records: openRecords(frames), torn };
}

export function removeSpool(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
