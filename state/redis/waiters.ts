import type { Clock } from '../../platform/clock.ts';

/** Those who wait for something to hold; they look again whenever they are told that it may. */
export class Waiters {
  readonly #clock: Clock;
  readonly #watches = new Set<() => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True as soon as `holds`, false after `timeoutMs` or at `close`. */
  until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (outcome: boolean) => {
        this.#watches.delete(watch);
        timer.cancel();
        resolve(outcome);
      };
      const watch = () => {
        if (this.#closed) settle(false);
        else if (holds()) settle(true);
      };
      const timer = this.#clock.after(timeoutMs, () => settle(false));
      this.#watches.add(watch);
    });
  }

  /** In the order in which they came: what is admitted meanwhile counts for the next. */
  tell(): void {
    for (const watch of [...this.#watches]) watch();
  }

  close(): void {
    this.#closed = true;
    this.tell();
  }
}
