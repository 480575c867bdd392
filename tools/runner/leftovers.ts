import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, type ProcessIdentity, signal } from '../../platform/processes.ts';

/** In the environment of everything that a test run starts. */
export const RUN_VARIABLE = 'RTVOICE_TEST_RUN';

export interface Leftover extends ProcessIdentity {
  command: string;
  ports: number[];
}

/** Processes whose environment carries the mark of this run; the caller itself is not one of them. */
export function leftovers(runId: string): Leftover[] {
  const mark = `${RUN_VARIABLE}=${runId}`;
  const found: Leftover[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const environment = read(`/proc/${pid}/environ`);
    if (!environment.split('\0').includes(mark)) continue;
    const identity = identify(pid);
    if (!identity) continue;
    const command = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim().slice(0, 160);
    found.push({ ...identity, command, ports: listeningPorts(pid) });
  }
  return found;
}

/** Waits until none is left, for at most `graceMs`: a process that was told to stop may be on its way out. */
export async function waitForNone(runId: string, graceMs: number): Promise<Leftover[]> {
  const endMs = performance.now() + graceMs;
  for (;;) {
    const left = leftovers(runId);
    if (left.length === 0 || performance.now() >= endMs) return left;
    await delay(50);
  }
}

export function kill(left: readonly Leftover[]): void {
  for (const process of left) signal(process, 'SIGKILL');
}

function listeningPorts(pid: number): number[] {
  const inodes = new Set<string>();
  try {
    for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  } catch {
    // It has ended meanwhile, and its ports with it.
    return [];
  }
  const LISTEN = '0A';
  const ports = [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`].flatMap((table) =>
    read(table)
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN && inodes.has(fields[9] ?? ''))
      .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)),
  );
  return [...new Set(ports)].sort((a, b) => a - b);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Ended meanwhile, or another user's.
    return '';
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
