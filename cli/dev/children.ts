import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { defineError } from '../../platform/errors.ts';
import { identify, isRunning, type ProcessIdentity, signal } from '../../platform/processes.ts';
import type { StateDir } from './state_dir.ts';

export const CHILD_FAILED = defineError('ERR_CHILD_FAILED', {
  status: 500,
  message: 'a part of local mode did not start',
  remedy:
    'Read the end of its log, shown with this error; `rtvoice dev` cleans up after itself and can be started again.',
});

const POLL_MS = 20;

export interface Child extends ProcessIdentity {
  name: string;
  logFile: string;
}

/**
 * The processes of local mode. Each has a session of its own, so that Ctrl-C reaches `rtvoice dev` alone and it can stop
 * them in order.
 */
export class Children {
  readonly #dir: StateDir;
  readonly #children: Child[] = [];

  constructor(dir: StateDir) {
    this.#dir = dir;
  }

  start(name: string, command: string, args: readonly string[], env: Record<string, string>): Child {
    const logFile = this.#dir.file('logs', `${name}.log`);
    const log = openSync(logFile, 'w');
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    child.unref();
    // A missing program is told by `ready`, which sees that nothing runs.
    child.on('error', () => undefined);
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (!identity) throw CHILD_FAILED.with(`${name} (${command})\n${tail(logFile)}`);
    const record = { name, logFile, ...identity };
    this.#children.push(record);
    this.#dir.writeChildren(this.#children.map(({ name, pid, startTicks }) => ({ name, pid, startTicks })));
    return record;
  }

  /** Polls `check` until it gives a value; fails as soon as the process has ended, or after `timeoutMs`. */
  async ready<T>(child: Child, timeoutMs: number, check: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const value = await check();
      if (value !== undefined) return value;
      if (!isRunning(child)) throw CHILD_FAILED.with(`${child.name} ended\n${tail(child.logFile)}`);
      if (performance.now() > endMs)
        throw CHILD_FAILED.with(`${child.name} is not ready after ${timeoutMs} ms\n${tail(child.logFile)}`);
      await delay(POLL_MS);
    }
  }

  /** The last started stops first; who does not end in its time is killed. */
  async stopAll(graceMs: number): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) await stop(child, graceMs);
    this.#dir.writeChildren([]);
  }
}

export async function stop(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (!signal(identity, 'SIGTERM')) return;
  if (await ended(identity, graceMs)) return;
  signal(identity, 'SIGKILL');
  await ended(identity, 2_000);
}

async function ended(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    if (!isRunning(identity)) return true;
    await delay(POLL_MS);
  }
  return !isRunning(identity);
}

function tail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
  } catch {
    return '(no log)';
  }
}
