import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

interface Step {
  name: string;
  deadlineMs: number;
  stop: () => void | Promise<void>;
}

/** Ordered shutdown: what was added last stops first, each step within its deadline; a late or failing step is logged and passed over. */
export class Lifecycle {
  readonly #steps: Step[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #stopping: Promise<void> | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  get stopping(): boolean {
    return this.#stopping !== undefined;
  }

  /** `deadlineMs` of Infinity waits for as long as the step takes (a drain without a deadline). */
  onStop(name: string, deadlineMs: number, stop: () => void | Promise<void>): void {
    this.#steps.push({ name, deadlineMs, stop });
  }

  /** Runs once; later calls wait for the first. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#run(reason);
    return this.#stopping;
  }

  /** SIGTERM and SIGINT stop in order and then exit 0; a second signal exits at once with 130. */
  exitOnSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (this.stopping && signal === 'SIGINT') process.exit(130);
        void this.stop(signal).then(() => process.exit(0));
      });
    }
  }

  async #run(reason: string): Promise<void> {
    this.#log.info({ reason }, 'stopping');
    for (const step of this.#steps.reverse()) {
      const startMs = this.#clock.monotonicMs();
      try {
        await withDeadline(this.#clock, step.deadlineMs, step.stop());
        this.#log.debug({ step: step.name, tookMs: Math.round(this.#clock.monotonicMs() - startMs) }, 'stopped');
      } catch (error) {
        this.#log.warn({ step: step.name, err: error }, 'a stop step failed; going on with the next');
      }
    }
    this.#log.info('stopped');
  }
}

async function withDeadline(clock: Clock, deadlineMs: number, work: void | Promise<void>): Promise<void> {
  if (!Number.isFinite(deadlineMs)) return work;
  await new Promise<void>((resolve, reject) => {
    const timer = clock.after(deadlineMs, () => reject(new Error(`not done within ${deadlineMs} ms`)));
    Promise.resolve(work).then(
      () => {
        timer.cancel();
        resolve();
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
