import type { Clock, Timer } from '../../platform/clock.ts';
import { sleep } from '../../platform/clock.ts';
import { defineError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { isRunning, type ProcessIdentity, signal } from '../../platform/processes.ts';
import { readJson } from './durable_file.ts';
import { trimLog } from './process_log.ts';
import { spawnDetached } from './spawn_detached.ts';
import type { StateFolder } from './state_folder.ts';

export const FRONT_NOT_STARTED = defineError('ERR_FRONT_NOT_STARTED', {
  status: 500,
  message: 'the local front did not start',
  remedy: 'See front.log in the state folder; a port that is taken is given another way with RTVOICE_FRONT_PORT.',
});

interface FrontNote extends ProcessIdentity {
  readonly port: number;
}

const POLL_PERIOD_MS = 500;
const START_LIMIT_MS = 10_000;
const RESTART_HOLD_MS = 1_000;

/** Keeps the local front running: adopts one that runs already, replaces one that died on the same port. */
export class FrontProcess {
  readonly #options: {
    folder: StateFolder;
    script: string;
    port: number;
    env: Record<string, string>;
    clock: Clock;
    log: Log;
  };
  #note: FrontNote | undefined;
  #timer: Timer | undefined;
  #starting = false;
  #closed = false;

  constructor(options: {
    folder: StateFolder;
    script: string;
    port: number;
    env: Record<string, string>;
    clock: Clock;
    log: Log;
  }) {
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#note?.port ?? 0}`;
  }

  /** Resolves once the front listens. */
  async start(): Promise<void> {
    const { folder, clock, log } = this.#options;
    const running = readJson<FrontNote>(folder.front);
    if (running && isRunning(running)) {
      this.#note = running;
      log.info({ pid: running.pid, port: running.port }, 'front adopted');
    } else await this.#launch();
    this.#timer = clock.every(POLL_PERIOD_MS, () => void this.#watch());
  }

  /** Stops watching; the front goes on. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Ends it: in order while it has no tunnels, at once after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.close();
    if (!this.#note) return;
    signal(this.#note, 'SIGTERM');
    const deadlineMs = this.#options.clock.monotonicMs() + graceMs;
    while (isRunning(this.#note) && this.#options.clock.monotonicMs() < deadlineMs) await pause();
    signal(this.#note, 'SIGKILL');
  }

  async #watch(): Promise<void> {
    trimLog(this.#options.folder.log('front'));
    if (this.#closed || this.#starting || (this.#note && isRunning(this.#note))) return;
    this.#options.log.warn('the front has ended; starting another on the same port');
    try {
      await this.#launch();
    } catch (error) {
      this.#options.log.error({ err: error }, 'the front could not be started; trying again');
      await sleep(this.#options.clock, RESTART_HOLD_MS);
    }
  }

  async #launch(): Promise<void> {
    const { folder, script, port, env, clock, log } = this.#options;
    this.#starting = true;
    try {
      // A call's URLs name the port, so the one used before is kept.
      const kept = port || (readJson<number>(folder.frontPort) ?? 0);
      const child = await spawnDetached({
        script,
        env: { ...env, RTVOICE_STATE_DIR: folder.path, RTVOICE_FRONT_PORT: `${kept}` },
        logPath: folder.log('front'),
      });
      const deadlineMs = clock.monotonicMs() + START_LIMIT_MS;
      while (clock.monotonicMs() < deadlineMs && child.exitCode === null && child.signalCode === null) {
        const note = readJson<FrontNote>(folder.front);
        if (note && note.pid === child.pid && isRunning(note)) {
          this.#note = note;
          log.info({ pid: note.pid, port: note.port }, 'front started');
          return;
        }
        await pause();
      }
      child.kill('SIGKILL');
      throw FRONT_NOT_STARTED.with(`port ${kept}`);
    } finally {
      this.#starting = false;
    }
  }
}

/** A real timer that keeps the process alive: somebody waits for this. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
