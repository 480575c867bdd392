import { throttled } from './http_error.ts';

const SECOND_MS = 1_000;

/**
 * Provisioned throughput of the account: each second has its budget. As with the service, a request is let in while some is left,
 * whatever it will cost; what it took too much is missing in the seconds that follow.
 */
export class Throughput {
  readonly #nowMs: () => number;
  #second = 0;
  #spent = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Throws 429 with the time until there is budget again. */
  admit(unitsPerSecond: number): void {
    if (unitsPerSecond <= 0) return;
    this.#advance(unitsPerSecond);
    if (this.#spent < unitsPerSecond) return;
    const secondsToWait = Math.floor(this.#spent / unitsPerSecond);
    const nextMs = (this.#second + secondsToWait) * SECOND_MS;
    throw throttled(Math.max(1, Math.ceil(nextMs - this.#nowMs())));
  }

  spend(units: number): void {
    this.#spent += units;
  }

  #advance(unitsPerSecond: number): void {
    const second = Math.floor(this.#nowMs() / SECOND_MS);
    if (second > this.#second) this.#spent = Math.max(0, this.#spent - (second - this.#second) * unitsPerSecond);
    this.#second = second;
  }
}
