import type { AmqpError, Delivery, Receiver, Sender } from 'rhea';
import rhea from 'rhea';

/**
 * What a broker needs of rhea and its public interface does not offer. rhea 3.0.5 is made for clients: it answers every attach at
 * once and reports a drain only while credit is left.
 */
interface LinkInternals {
  state: { local_open: boolean; open_requests: number };
  local: { attach: { properties?: unknown; max_message_size?: unknown } };
}

interface SenderInternals {
  credit: number;
  delivery_count: number;
  _draining: boolean;
  _drained: boolean;
  _get_drain(): boolean;
}

interface Outcome {
  described(): unknown;
}

const outcomes = rhea.message as unknown as {
  accepted(): Outcome;
  rejected(fields: { error: AmqpError }): Outcome;
};

const internals = (link: Sender | Receiver) => link as unknown as LinkInternals;

/** Call it in the `…_open` event; the attach is not answered until `link.attach()`. */
export function holdAttach(link: Sender | Receiver): void {
  const { state } = internals(link);
  state.local_open = false;
  state.open_requests -= 1;
}

export function setProperties(link: Sender | Receiver, properties: Readonly<Record<string, unknown>>): void {
  internals(link).local.attach.properties = properties;
}

export function setMaxMessageSize(link: Receiver, bytes: number): void {
  internals(link).local.attach.max_message_size = bytes;
}

/** Settles what a peer has sent (its transfer) or asked for (its disposition). */
export function settle(delivery: Delivery, error?: AmqpError): void {
  delivery.update(true, error ? outcomes.rejected({ error }).described() : outcomes.accepted().described());
}

/** Credit of a link to the peer, messages included that are handed to rhea and not yet written. */
export class CreditMeter {
  readonly #link: SenderInternals;
  #sent = 0;
  #drained = 0;

  constructor(link: Sender) {
    this.#link = link as unknown as SenderInternals;
    // A drain that finds no credit left must be answered too, or the peer closes the link after a while.
    this.#link._get_drain = () => {
      if (!this.#link._draining || !this.#link._drained) return false;
      this.#drained += this.#link.credit;
      this.#link.delivery_count += this.#link.credit;
      this.#link.credit = 0;
      this.#link._draining = false;
      return true;
    };
  }

  get left(): number {
    return this.#link.credit - (this.#sent + this.#drained - this.#link.delivery_count);
  }

  sent(): void {
    this.#sent += 1;
  }
}
