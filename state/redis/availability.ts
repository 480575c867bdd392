import type { RedisNode } from './connection.ts';

export type AvailabilityEvent = 'up' | 'down';

/**
 * What the breakers of all nodes mean together. Available: at least one serves, so that one lost shard does not stop the calls of the others.
 * `down`: a node was lost, and none before it. `up`: every node answers again – or, while another one stays lost, at the end of a round of probes in which
 * one came back. Owners write their state again on `up`, so each loss must be followed by one.
 */
export class Availability {
  #degraded = false;
  /** An `up` is owed: at the start, and since a node was lost. */
  #owed = true;
  #regained = false;

  /** A breaker has opened. */
  lost(): AvailabilityEvent | undefined {
    // What came back before this loss has had its `up`.
    if (!this.#owed) this.#regained = false;
    this.#owed = true;
    if (this.#degraded) return undefined;
    this.#degraded = true;
    return 'down';
  }

  /** A breaker has closed, or the set of nodes has changed. */
  checked(nodes: readonly RedisNode[], closed: boolean): AvailabilityEvent | undefined {
    this.#regained ||= closed;
    return this.#owed && isWhole(nodes) ? this.#up(false) : undefined;
  }

  roundEnded(nodes: readonly RedisNode[]): AvailabilityEvent | undefined {
    return this.#owed && this.#regained && isAvailable(nodes) ? this.#up(!isWhole(nodes)) : undefined;
  }

  #up(degraded: boolean): AvailabilityEvent {
    this.#degraded = degraded;
    this.#owed = degraded;
    this.#regained = false;
    return 'up';
  }
}

export function isAvailable(nodes: readonly RedisNode[]): boolean {
  return nodes.some(({ breaker }) => breaker.state === 'closed');
}

export function isWhole(nodes: readonly RedisNode[]): boolean {
  return nodes.length > 0 && nodes.every(({ breaker, proven }) => breaker.state === 'closed' && proven);
}
