import { CALL_LENGTH_SECONDS, type CallExperience } from '../../contract/records.ts';

/** What callers experienced on this process since its start, as sums that the controller can add up over workers and compare between revisions. */
export class CallTally {
  #setups = 0;
  #setupFailures = 0;
  #responses = 0;
  #responseSeconds = 0;
  #ended = 0;
  /** Cumulative: calls no longer than each bound. */
  readonly #lengths = CALL_LENGTH_SECONDS.map(() => 0);

  countSetup(succeeded: boolean): void {
    this.#setups++;
    if (!succeeded) this.#setupFailures++;
  }

  addResponse(seconds: number): void {
    this.#responses++;
    this.#responseSeconds += seconds;
  }

  addCall(seconds: number): void {
    this.#ended++;
    CALL_LENGTH_SECONDS.forEach((bound, at) => {
      if (seconds <= bound) this.#lengths[at] = (this.#lengths[at] ?? 0) + 1;
    });
  }

  read(): CallExperience {
    return {
      setups: this.#setups,
      setupFailures: this.#setupFailures,
      responses: this.#responses,
      responseSeconds: Math.round(this.#responseSeconds * 1000) / 1000,
      callsEnded: this.#ended,
      callLengths: [...this.#lengths],
    };
  }
}
