import type { Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';

/** ACS may dial again by itself (its policy is undocumented): it gets this long before it is asked to. */
const WAIT_FOR_REDIAL_MS = 1_500;
/** After an answer ACS dials for the first time, which may take a little longer. */
const WAIT_FOR_FIRST_DIAL_MS = 5_000;
/** Then it is asked again and again, since `startMediaStreaming` can fail while ACS still believes in the old socket. */
const RETRY_MS = 3_000;

/** Brings lost media back, by ACS's own re-dial or by asking for it; after the grace time the call is hung up. */
export class MediaRecovery {
  readonly #deps: CallDeps;
  readonly #call: Call;
  #ask: Timer | undefined;
  #giveUp: Timer | undefined;

  constructor(deps: CallDeps, call: Call) {
    this.#deps = deps;
    this.#call = call;
  }

  /** ACS has accepted the answer and dials by itself. */
  expect(): void {
    this.#wait(WAIT_FOR_FIRST_DIAL_MS);
  }

  /** The socket broke, or the call was taken over without one. */
  lost(): void {
    this.#wait(WAIT_FOR_REDIAL_MS);
  }

  /** ACS said that it gave up, or nobody will dial by itself: ask now. */
  hurry(): void {
    this.lost();
    this.#ask?.cancel();
    void this.#askAcs();
  }

  found(): void {
    this.cancel();
  }

  cancel(): void {
    this.#ask?.cancel();
    this.#giveUp?.cancel();
    this.#ask = undefined;
    this.#giveUp = undefined;
  }

  #wait(waitMs: number): void {
    if (this.#giveUp) return;
    const graceMs = this.#deps.spec.call.mediaReconnectGraceSeconds * 1000;
    this.#giveUp = this.#deps.clock.after(graceMs, () => this.#call.end('mediaLost'));
    this.#ask = this.#deps.clock.after(waitMs, () => void this.#askAcs());
  }

  async #askAcs(): Promise<void> {
    const id = this.#call.callConnectionId;
    if (!this.#giveUp || this.#call.over) return;
    if (id !== undefined) {
      try {
        await this.#deps.acs.startMediaStreaming(id);
      } catch (error) {
        this.#call.log.info({ code: errorCode(error) }, 'ACS did not start media streaming; asking again');
      }
    }
    if (this.#giveUp && !this.#call.over) this.#ask = this.#deps.clock.after(RETRY_MS, () => void this.#askAcs());
  }
}
