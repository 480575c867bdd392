import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identify, isRunning, type ProcessIdentity, signal } from '../../platform/processes.ts';
import { ROOT } from '../files.ts';
import { removeCgroup } from './cgroups.ts';
import { Cluster } from './cluster.ts';
import { Layout } from './layout.ts';

/** The cluster for people: one per checkout, kept up by a process of its own. */
export const FOLDER = process.env.RTVOICE_CLUSTER_DIR ?? join(ROOT, '.rtvoice', 'cluster');
export const KEEPER_LOG = `${FOLDER}.log`;
const STATE = `${FOLDER}.json`;
const STOP_LIMIT_MS = 60_000;

export interface Kept {
  readonly keeper: ProcessIdentity;
  /** Process 1 of the cluster, as this machine sees it. */
  readonly init: number;
  /** Of the administrator, for this machine. */
  readonly kubeconfig: string;
}

/** Undefined when no cluster is up. */
export function kept(): Kept | undefined {
  if (!existsSync(STATE)) return undefined;
  const found = JSON.parse(readFileSync(STATE, 'utf8')) as Kept;
  return isRunning(found.keeper) ? found : undefined;
}

/** Starts the keeper; resolves when the cluster is up, rejects with the reason when it never was. */
export async function startKeeper(images: readonly string[]): Promise<Kept> {
  await stopKeeper();
  mkdirSync(dirname(FOLDER), { recursive: true });
  const log = openSync(KEEPER_LOG, 'w');
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, 'keep', ...images], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const found = await firstWord(child);
  child.unref();
  if (!found) throw new Error(readFileSync(KEEPER_LOG, 'utf8').trim());
  return found;
}

async function firstWord(child: ChildProcess): Promise<Kept | undefined> {
  const ended = once(child, 'exit').then(() => true);
  for (;;) {
    const over = await Promise.race([ended, new Promise<false>((resolve) => setTimeout(resolve, 100, false))]);
    const found = kept();
    if (found || over) return found;
  }
}

/** The keeper itself: the cluster is up for as long as this process runs. */
export async function keep(images: readonly string[]): Promise<void> {
  const keeper = identify(process.pid);
  if (!keeper) throw new Error('/proc is needed');
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const cluster = await Cluster.up({ folder: FOLDER, images });
  // Nothing else keeps this process.
  const forever = setInterval(() => undefined, 2 ** 30);
  try {
    const { init, kubeconfig } = cluster;
    writeFileSync(STATE, JSON.stringify({ keeper, init, kubeconfig } satisfies Kept));
    await stopped;
  } finally {
    clearInterval(forever);
    await cluster[Symbol.asyncDispose]();
    rmSync(STATE, { force: true });
  }
}

/** Takes the cluster away, or what is left of one whose keeper was killed; false when there was none. */
export async function stopKeeper(): Promise<boolean> {
  const found = kept();
  if (found) {
    signal(found.keeper, 'SIGTERM');
    const endMs = performance.now() + STOP_LIMIT_MS;
    while (isRunning(found.keeper)) {
      if (performance.now() > endMs) throw new Error(`process ${found.keeper.pid} does not end; see ${KEEPER_LOG}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const left = found !== undefined || existsSync(FOLDER) || existsSync(STATE);
  if (left) removeCgroup(new Layout(FOLDER).cgroup);
  rmSync(STATE, { force: true });
  rmSync(FOLDER, { recursive: true, force: true });
  return left;
}
