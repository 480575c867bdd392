import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Command } from './components.ts';
import type { Layout } from './layout.ts';
import { endProcess, hasEnded } from './processes.ts';

const START_LIMIT_MS = 60_000;
const LAST_LINES = 12;

/** The components of a cluster by name, inside its namespaces. */
export class Supervisor {
  readonly #layout: Layout;
  readonly #commands: Readonly<Record<string, () => Command>>;
  readonly #running = new Map<string, ChildProcess>();

  constructor(layout: Layout, commands: Readonly<Record<string, () => Command>>) {
    this.#layout = layout;
    this.#commands = commands;
  }

  /** Does nothing when it runs. */
  start(name: string): void {
    const command = this.#commands[name]?.();
    if (!command) throw new Error(`there is no component ${name}`);
    const before = this.#running.get(name);
    if (before && !hasEnded(before)) return;
    const log = openSync(this.#layout.log(name), 'a');
    this.#running.set(name, spawn(command.program, command.args, { stdio: ['ignore', log, log], detached: true }));
    closeSync(log);
  }

  /** Ends it as a failure would, at once; resolves when it has ended. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child) await endProcess(child);
  }

  /** Process ids, as the cluster sees them. */
  pids(): Record<string, number> {
    return Object.fromEntries([...this.#running].map(([name, child]) => [name, child.pid ?? 0]));
  }

  /** Waits until the command succeeds; rejects when a component that was started has ended meanwhile. */
  async until(what: string, command: string, ...args: string[]): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    while (!this.#succeeds(command, args)) {
      for (const [name, child] of this.#running)
        if (hasEnded(child)) throw new Error(`${name} has ended:\n${this.#lastLines(name)}`);
      if (performance.now() > endMs) throw new Error(`not within ${START_LIMIT_MS} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The logs go with the folder. */
  #lastLines(name: string): string {
    return readFileSync(this.#layout.log(name), 'utf8').trim().split('\n').slice(-LAST_LINES).join('\n');
  }

  #succeeds(command: string, args: readonly string[]): boolean {
    const env = { ...process.env, KUBECONFIG: this.#layout.kubeconfig('admin') };
    try {
      execFileSync(command, args, { stdio: 'ignore', env });
      return true;
    } catch {
      return false;
    }
  }
}
