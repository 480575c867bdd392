import type { Clock } from '../../platform/clock.ts';
import { defineError, RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { KubeMetrics, ReconcileResult } from './metrics.ts';
import type { RateLimitedQueue } from './queue.ts';

export const RECONCILE_TIMEOUT = defineError('ERR_RECONCILE_TIMEOUT', {
  status: 504,
  message: 'a reconcile pass did not end in time',
  remedy: 'See what it waited for in the log; it is tried again.',
});

export interface ReconcileContext {
  /** Aborted when the pass takes too long, or the loop is stopped. */
  readonly signal: AbortSignal;
  /** Names this pass in the log. */
  readonly reconcileId: string;
}

/** Undefined: nothing more until the key is added again. */
export type Reconcile = (
  key: string,
  context: ReconcileContext,
) => Promise<{ readonly requeueAfterMs: number } | undefined>;

/** Trying again would fail the same way until the object changes. */
export class TerminalError extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'TerminalError';
  }
}

export interface LoopOptions {
  readonly name: string;
  readonly queue: RateLimitedQueue;
  readonly concurrency: number;
  readonly reconcile: Reconcile;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly metrics: KubeMetrics;
  readonly log: Log;
}

/** Takes keys off the queue and reconciles them, some at once. An error is tried again with back-off, a result says when to look again. */
export class ControllerLoop {
  readonly #options: LoopOptions;
  readonly #passes = new Set<AbortController>();
  #runners: Promise<void>[] = [];
  #count = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    options.metrics.declareLoop(options.name, options.concurrency);
  }

  start(): void {
    if (this.#runners.length > 0) return;
    this.#runners = Array.from({ length: this.#options.concurrency }, () => this.#run());
  }

  /** Tells the passes that run to end, and resolves when they have or their time is over; what waits is dropped. */
  async stop(): Promise<void> {
    void this.#options.queue.shutDown();
    for (const pass of this.#passes) pass.abort(new Error('the loop was stopped'));
    await Promise.all(this.#runners);
  }

  async #run(): Promise<void> {
    const { queue, metrics, name } = this.#options;
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      metrics.loop.active.inc({ controller: name });
      await this.#one(key);
      metrics.loop.active.dec({ controller: name });
    }
  }

  /** Never rejects. A pass whose time is over frees this runner for other keys; its own key comes back only when it has really ended. */
  async #one(key: string): Promise<void> {
    const { queue, metrics, name, clock, timeoutMs, log } = this.#options;
    const startMs = clock.monotonicMs();
    const reconcileId = `${name}-${++this.#count}`;
    const abort = new AbortController();
    this.#passes.add(abort);
    await new Promise<void>((resolve) => {
      const timer = clock.after(timeoutMs, () => {
        metrics.loop.timeouts.inc({ controller: name });
        log.warn({ key, reconcileId, timeoutMs }, 'a reconcile pass takes too long; it is told to end');
        abort.abort(RECONCILE_TIMEOUT.with(`${key}, ${timeoutMs} ms`));
        resolve();
      });
      void this.#pass(key, { signal: abort.signal, reconcileId }).finally(() => {
        timer.cancel();
        this.#passes.delete(abort);
        metrics.loop.seconds.observe({ controller: name }, (clock.monotonicMs() - startMs) / 1000);
        queue.done(key);
        resolve();
      });
    });
  }

  async #pass(key: string, context: ReconcileContext): Promise<void> {
    const { queue, metrics, name, reconcile } = this.#options;
    let result: ReconcileResult = 'success';
    try {
      const next = await reconcile(key, context);
      queue.forget(key);
      if (next) {
        result = 'requeue_after';
        queue.addAfter(key, next.requeueAfterMs);
      }
    } catch (error) {
      result = 'error';
      this.#failed(key, context.reconcileId, error);
    } finally {
      metrics.loop.total.inc({ controller: name, result });
    }
  }

  #failed(key: string, reconcileId: string, error: unknown): void {
    const { queue, metrics, name, log } = this.#options;
    const labels = { controller: name };
    metrics.loop.errors.inc(labels);
    if (isFault(error)) metrics.loop.panics.inc(labels);
    if (error instanceof TerminalError) {
      metrics.loop.terminal.inc(labels);
      queue.forget(key);
    } else queue.addRateLimited(key);
    log.error({ key, reconcileId, err: error, retries: queue.retries(key) }, 'a reconcile pass failed');
  }
}

/** A fault of the program, such as a property of undefined: controller-runtime counts it as a panic. */
function isFault(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
    ? !(error instanceof RtvoiceError)
    : false;
}
