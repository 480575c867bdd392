import { Agent, request } from 'undici';
import { INTERNAL } from '../contract/urls.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';

const TIMEOUT_MS = 1_000;

/** What the controller tells a worker directly, over its internal listener. */
export class WorkerCommands {
  /** Made for the first order: most pools give none for a long time. */
  #agent: Agent | undefined;
  readonly #internalKey: string;
  readonly #log: Log;

  constructor(internalKey: string, log: Log) {
    this.#internalKey = internalKey;
    this.#log = log;
  }

  /** True when the worker has taken it. A worker that does not answer learns of it from its affinity record. */
  async drain(endpoint: string, order: { reason: string; deadlineMs: number | undefined }): Promise<boolean> {
    this.#agent ??= new Agent({
      connect: { timeout: TIMEOUT_MS },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    try {
      const response = await request(endpoint + INTERNAL.drain, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: { authorization: `Bearer ${this.#internalKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ reason: order.reason.slice(0, 200), deadlineMs: order.deadlineMs }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body.dump();
      return response.statusCode === 202 || response.statusCode === 200;
    } catch (error) {
      this.#log.info(
        { endpoint, code: errorCode(error) },
        'a worker did not take the drain order; its affinity record says it too',
      );
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
  }
}
