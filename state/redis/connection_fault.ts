import type { Log } from '../../platform/log.ts';
import { setupFault } from './errors.ts';

/** Why the last connection failed. */
export class ConnectionFault {
  readonly #log: Log;
  #last: Error | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  get last(): Error | undefined {
    return this.#last;
  }

  happened(cause: Error): void {
    const fault = setupFault(cause) ?? cause;
    // Once per kind: a reconnection every half second would repeat it for as long as it lasts.
    if (fault !== cause && this.#last?.message !== fault.message) {
      this.#log.error({ err: fault }, 'Redis refuses the connection');
    } else {
      this.#log.debug({ err: cause }, 'Redis connection error');
    }
    this.#last = fault;
  }

  clear(): void {
    this.#last = undefined;
  }
}
