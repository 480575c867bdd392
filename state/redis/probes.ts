import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { RedisConnection, RedisNode } from './connection.ts';
import { commandResult } from './errors.ts';
import type { RedisMetrics } from './metrics.ts';

/** A node is probed every second round, and in each while one is missing. */
const ROUND_MS = 500;

export interface ProbesOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: RedisMetrics;
  readonly connection: RedisConnection;
  /** Awaits what was asked, and feeds the node's breaker with how it ended. */
  attempt(node: RedisNode, asked: Promise<unknown>): Promise<unknown>;
  /** All nodes of a round have answered or not. */
  roundEnded(): void;
}

/** Asks the servers whether they serve: in rounds, and at once when told to. */
export class Probes {
  readonly #options: ProbesOptions;
  readonly #timer: Timer;
  #round = 0;
  #closed = false;

  constructor(options: ProbesOptions) {
    this.#options = options;
    this.#timer = options.clock.every(ROUND_MS, () => void this.#next());
  }

  send(node: RedisNode): void {
    void this.#send(node);
  }

  close(): void {
    this.#closed = true;
    this.#timer.cancel();
  }

  async #next(): Promise<void> {
    const { connection } = this.#options;
    this.#round += 1;
    const nodes = connection.nodes();
    const missing = nodes.length === 0 || nodes.some(({ breaker }) => breaker.state !== 'closed');
    if (this.#round % 2 === 1 && !missing) return;
    connection.refresh();
    await Promise.all(nodes.map((node) => this.#send(node)));
    if (!this.#closed) this.#options.roundEnded();
  }

  async #send(node: RedisNode): Promise<void> {
    const { clock, connection, log, metrics } = this.#options;
    const asked = this.#closed ? undefined : connection.probe(node);
    if (!asked) return node.breaker.failed('not connected');
    const startMs = clock.monotonicMs();
    const seconds = () => (clock.monotonicMs() - startMs) / 1000;
    try {
      await this.#options.attempt(node, asked);
      metrics.observe('ping', 'ok', seconds());
    } catch (error) {
      metrics.observe('ping', commandResult(error), seconds());
      log.debug({ err: error, node: node.name }, 'Redis did not answer a probe');
    }
  }
}
