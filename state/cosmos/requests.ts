import type { QueryIterator } from '@azure/cosmos';
import { type Clock, sleep, systemClock, type Timer } from '../../platform/clock.ts';
import type { ContainerName } from './containers.ts';
import { COSMOS_UNAVAILABLE, statusOf, unwrapped } from './errors.ts';

export const COSMOS_OPERATIONS = ['create', 'read', 'replace', 'batch', 'query'] as const;
export type CosmosOperation = (typeof COSMOS_OPERATIONS)[number];

/** Told of every request that was answered or failed. */
export interface CosmosObserver {
  request(
    container: ContainerName,
    operation: CosmosOperation,
    figures: { requestUnits: number; seconds: number },
  ): void;
}

/** What a request that is answered 429 may take before its caller is told. */
const MAX_ATTEMPTS = 6;
const MAX_WAIT_MS = 5_000;
/** For one request with what the SDK repeats by itself. */
const DEADLINE_MS = 20_000;
const CHARGE = 'x-ms-request-charge';

/** Runs requests of the SDK and tells what they cost, whether they succeeded or not. */
export class CosmosRequests {
  readonly #clock: Clock;
  readonly #observer: CosmosObserver | undefined;
  readonly #onThrottled: (count: number) => void;
  readonly #deadlineMs: number;

  constructor(options: {
    deadlineMs?: number | undefined;
    clock?: Clock | undefined;
    observer?: CosmosObserver | undefined;
    onThrottled?: ((count: number) => void) | undefined;
  }) {
    this.#clock = options.clock ?? systemClock;
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#observer = options.observer;
    this.#onThrottled = options.onThrottled ?? (() => undefined);
  }

  /**
   * One request. What is answered 429 is repeated after the time that the service names, as long as that is short; after that, or
   * when it asks for more, the error says how long (`retryAfterInMs`), and the caller waits for all its requests at once.
   */
  async run<T extends { headers: Record<string, unknown> }>(
    container: ContainerName,
    operation: CosmosOperation,
    request: () => Promise<T>,
  ): Promise<T> {
    let waitedMs = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(container, operation, request);
      } catch (error) {
        const delayMs = throttleDelayMs(error);
        if (delayMs === undefined || attempt >= MAX_ATTEMPTS || waitedMs + delayMs > MAX_WAIT_MS) throw error;
        this.#onThrottled(1);
        waitedMs += delayMs;
        await sleep(this.#clock, delayMs);
      }
    }
  }

  async #once<T extends { headers: Record<string, unknown> }>(
    container: ContainerName,
    operation: CosmosOperation,
    request: () => Promise<T>,
  ): Promise<T> {
    const startMs = this.#clock.monotonicMs();
    const tell = (headers: Record<string, unknown>) => {
      const seconds = (this.#clock.monotonicMs() - startMs) / 1000;
      // Refused requests are billed too; one whose reply was lost has no figure.
      const requestUnits = Number(headers[CHARGE] ?? 0) || 0;
      this.#observer?.request(container, operation, { requestUnits, seconds });
    };
    try {
      const answer = await this.#within(request());
      tell(answer.headers);
      return answer;
    } catch (thrown) {
      const error = unwrapped(thrown);
      tell((error as { headers?: Record<string, unknown> } | null)?.headers ?? {});
      throw error;
    }
  }

  /**
   * The SDK repeats some failures by itself, longer than anybody should wait. What it sends after the deadline does no harm, since
   * every write has a fixed id or a condition.
   */
  async #within<T>(answer: Promise<T>): Promise<T> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      const detail = `no answer within ${this.#deadlineMs} ms`;
      timer = this.#clock.after(this.#deadlineMs, () => reject(COSMOS_UNAVAILABLE.with(detail)));
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer?.cancel();
    }
  }

  /** The next page of a query. The SDK repeats what was answered 429: an iterator that has failed cannot go on. */
  async page<T>(
    container: ContainerName,
    pages: QueryIterator<T>,
  ): Promise<{ resources: T[]; continuation: string | undefined }> {
    const { page } = await this.#once(container, 'query', async () => {
      const answer = await pages.fetchNext();
      return { page: answer, headers: { [CHARGE]: answer.requestCharge } };
    });
    return { resources: page.resources ?? [], continuation: page.continuationToken };
  }
}

/** Undefined unless the service has answered 429. */
function throttleDelayMs(error: unknown): number | undefined {
  if (statusOf(error) !== 429) return undefined;
  const { retryAfterInMs } = error as { retryAfterInMs?: unknown };
  return typeof retryAfterInMs === 'number' ? retryAfterInMs : 0;
}
