import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import { stop } from './children.ts';
import { readJson } from './controller_client.ts';
import type { StateDir } from './state_dir.ts';

const GRACE_MS = 3_000;

/** Ends what an earlier local mode in this folder left running, when it was killed before it could: controller first, or it would replace what ends. */
export async function endLeftovers(dir: StateDir, say: (line: string) => void): Promise<void> {
  const left = [...dir.children()].reverse();
  const workers = workerProcesses(dir);
  const front = readJson<ProcessIdentity>(dir.file('front.json'));
  const all = [...left.filter(({ name }) => name === 'controller'), ...workers, ...(front ? [front] : []), ...left];
  const running = all.filter(isRunning);
  if (running.length > 0) say(`ending ${running.length} processes that an earlier start left`);
  for (const identity of running) await stop(identity, GRACE_MS);
  for (const folder of ['records', 'workers']) rmSync(dir.file(folder), { recursive: true, force: true });
  dir.writeChildren([]);
}

function workerProcesses(dir: StateDir): ProcessIdentity[] {
  const folder = dir.file('records');
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No controller has run here yet.
    return [];
  }
  return names.flatMap((name) => {
    const record = readJson<Partial<ProcessIdentity>>(join(folder, name));
    return record?.pid !== undefined && record.startTicks !== undefined
      ? [{ pid: record.pid, startTicks: record.startTicks }]
      : [];
  });
}
