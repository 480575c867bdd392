/**
 * `closed`: commands go through. `open`: the server did not answer or the connection is lost; commands are refused at once and only the probe goes out.
 * `halfOpen`: a probe was answered; a few commands may try, the next good reply closes it, the next missing one opens it again.
 */
export type BreakerState = 'closed' | 'halfOpen' | 'open';

export const BREAKER_STATES: readonly BreakerState[] = ['closed', 'halfOpen', 'open'];

/** Commands in flight while half open: enough to try, too few to hang many calls on a server that still is not well. */
const TRIALS = 16;

/** `previous`: a node is lost when it leaves `closed`, not when a trial fails. */
export type BreakerListener = (change: { state: BreakerState; previous: BreakerState; reason: string }) => void;

/** What stands between callers and one server. It only decides: probes are sent by whoever holds it. */
export class Breaker {
  readonly #onChange: BreakerListener;
  #state: BreakerState;
  #inFlight = 0;

  constructor(options: { initial: BreakerState; onChange: BreakerListener }) {
    this.#state = options.initial;
    this.#onChange = options.onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** True when a command may be sent now. */
  get admits(): boolean {
    return this.#state === 'closed' || (this.#state === 'halfOpen' && this.#inFlight < TRIALS);
  }

  /** Every command that is sent, probes included; each is followed by one `left`. */
  entered(): void {
    this.#inFlight += 1;
  }

  left(): void {
    this.#inFlight -= 1;
  }

  answered(): void {
    if (this.#state === 'closed') return;
    this.#move(this.#state === 'open' ? 'halfOpen' : 'closed', 'answered');
  }

  failed(reason: string): void {
    if (this.#state !== 'open') this.#move('open', reason);
  }

  #move(state: BreakerState, reason: string): void {
    const previous = this.#state;
    this.#state = state;
    this.#onChange({ state, previous, reason });
  }
}
