import { type PoolRef, poolTag } from '../contract/ids.ts';
import { errorCode } from '../platform/errors.ts';
import { ControllerLoop } from './kube/loop.ts';
import type { KubeMetrics } from './kube/metrics.ts';
import { RateLimitedQueue } from './kube/queue.ts';
import { PoolReconciler, type ReconcilerDeps } from './pool/reconcile.ts';

export interface PoolsOptions extends ReconcilerDeps {
  readonly loopMetrics: KubeMetrics;
  /** Passes of different pools at once. */
  readonly concurrency: number;
  /** Redis holds a higher fence than ours: another controller leads. */
  readonly onFenced: (pool: PoolRef) => void;
}

export const LOOP_NAME = 'voiceworkerpool';
/** A pass waits for Redis and the API server, each bounded; one that takes longer than this hangs. */
const PASS_TIMEOUT_MS = 30_000;

interface Waiter {
  /** Passes of that pool that had begun when it was asked. */
  readonly after: number;
  readonly resolve: () => void;
}

/** All pools of one controller term: the queue, the loop, and one reconciler per pool. */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #queue: RateLimitedQueue;
  readonly #loop: ControllerLoop;
  readonly #reconcilers = new Map<string, PoolReconciler>();
  readonly #begun = new Map<string, number>();
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #unsubscribe: () => void;
  #stopping: Promise<void> | undefined;
  #fenced = false;

  constructor(options: PoolsOptions) {
    const { clock, log, loopMetrics, concurrency } = options;
    this.#options = options;
    this.#queue = new RateLimitedQueue({ name: LOOP_NAME, clock, metrics: loopMetrics });
    this.#loop = new ControllerLoop({
      name: LOOP_NAME,
      queue: this.#queue,
      concurrency,
      reconcile: (key) => this.#pass(key),
      timeoutMs: PASS_TIMEOUT_MS,
      clock,
      metrics: loopMetrics,
      log,
    });
    this.#unsubscribe = options.runtime.onChange((ref) => this.enqueue(ref));
  }

  /** A newer controller writes to Redis: this one does nothing any more. */
  get fenced(): boolean {
    return this.#fenced;
  }

  start(): void {
    this.#loop.start();
  }

  /** Ends the loops after the passes that run; workers stay as they are. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  enqueue(ref: PoolRef): void {
    this.#queue.add(poolTag(ref));
  }

  /** The figures of the pool's workers were read. */
  figuresRead(ref: PoolRef): void {
    const reconciler = this.get(ref);
    if (!reconciler || reconciler.hasNews) this.enqueue(ref);
  }

  /** Resolves when a pass of the pool that began after this call is done, or the loops have ended. */
  nextPass(ref: PoolRef): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    const key = poolTag(ref);
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(key) ?? [];
      waiters.push({ after: this.#begun.get(key) ?? 0, resolve });
      this.#waiting.set(key, waiters);
      this.enqueue(ref);
    });
  }

  get(ref: PoolRef): PoolReconciler | undefined {
    return this.#reconcilers.get(poolTag(ref));
  }

  async #stop(): Promise<void> {
    this.#unsubscribe();
    await this.#loop.stop();
    for (const key of [...this.#waiting.keys()]) this.#release(key, Number.POSITIVE_INFINITY);
  }

  async #pass(key: string): Promise<{ requeueAfterMs: number } | undefined> {
    const ref = refOf(key);
    const begun = (this.#begun.get(key) ?? 0) + 1;
    this.#begun.set(key, begun);
    const reconciler = this.#reconcilers.get(key) ?? new PoolReconciler(ref, this.#options);
    this.#reconcilers.set(key, reconciler);
    try {
      const next = await reconciler.pass();
      if (!next) await this.#forget(key, ref);
      return next;
    } catch (error) {
      if (errorCode(error) === 'ERR_CONTROLLER_FENCED') {
        this.#fenced = true;
        this.#options.onFenced(ref);
      }
      throw error;
    } finally {
      this.#release(key, begun);
    }
  }

  async #forget(key: string, ref: PoolRef): Promise<void> {
    this.#reconcilers.delete(key);
    this.#begun.delete(key);
    this.#options.explanations.forget(key);
    this.#options.metrics.forgetPool({ namespace: ref.namespace, pool: ref.pool });
    await this.#options.host.forget(ref);
  }

  #release(key: string, begun: number): void {
    const waiters = this.#waiting.get(key) ?? [];
    const left = waiters.filter(({ after }) => after >= begun);
    for (const waiter of waiters) if (!left.includes(waiter)) waiter.resolve();
    if (left.length > 0) this.#waiting.set(key, left);
    else this.#waiting.delete(key);
  }
}

/** The reverse of `poolTag`: neither part has a dot, both are DNS labels. */
function refOf(key: string): PoolRef {
  const [namespace = '', pool = ''] = key.split('.');
  return { namespace, pool };
}
