import type { Clock, Timer } from '../../platform/clock.ts';
import { Delays } from './delays.ts';
import type { KubeMetrics } from './metrics.ts';
import { RetryLimiter } from './rate_limit.ts';

export interface QueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: KubeMetrics;
}

/**
 * Keys to be worked on. A key waits once, however often it is added; one that is being worked on is never handed out a second time, and is
 * handed out again afterwards when it was added meanwhile. As client-go's workqueue. It holds each key once: objects bound its length.
 */
export class RateLimitedQueue {
  readonly #clock: Clock;
  readonly #metrics: KubeMetrics['queue'];
  readonly #labels: { name: string; controller: string };
  /** Waits or has to be worked on again, with the time since. */
  readonly #dirty = new Map<string, number>();
  /** Being worked on, with the time since. */
  readonly #processing = new Map<string, number>();
  readonly #ready: string[] = [];
  readonly #delays = new Delays();
  readonly #limiter = new RetryLimiter();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #idle: (() => void)[] = [];
  #timer: { timer: Timer; dueMs: number } | undefined;
  #closed = false;

  constructor({ name, clock, metrics }: QueueOptions) {
    this.#clock = clock;
    this.#metrics = metrics.queue;
    this.#labels = { name, controller: name };
    metrics.declareQueue(name, () => this.#workedOnSeconds());
  }

  /** Keys that wait now; those with a delay do not count. */
  get length(): number {
    return this.#ready.length;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.set(key, this.#clock.monotonicMs());
    this.#metrics.adds.inc(this.#labels);
    if (!this.#processing.has(key)) this.#push(key);
  }

  /** Adds the key when the time is over; the sooner of two delays counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    this.#delays.add(key, this.#clock.monotonicMs() + delayMs);
    this.#arm();
  }

  /** Adds the key after its back-off. */
  addRateLimited(key: string): void {
    if (this.#closed) return;
    this.#metrics.retries.inc(this.#labels);
    this.addAfter(key, this.#limiter.delayMs(key, this.#clock.monotonicMs()));
  }

  /** The key has succeeded: its next failure waits as briefly as a first one. */
  forget(key: string): void {
    this.#limiter.forget(key);
  }

  retries(key: string): number {
    return this.#limiter.failures(key);
  }

  /** The next key, which must be given back by `done`; undefined once the queue is shut down. */
  next(): Promise<string | undefined> {
    const key = this.#ready.shift();
    if (key !== undefined) return Promise.resolve(this.#hand(key));
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    const sinceMs = this.#processing.get(key);
    if (sinceMs === undefined) return;
    this.#processing.delete(key);
    this.#metrics.workSeconds.observe(this.#labels, (this.#clock.monotonicMs() - sinceMs) / 1000);
    if (this.#dirty.has(key)) this.#push(key);
    if (this.#processing.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Nothing is handed out any more and what waits is dropped; resolves when everything that is worked on has been given back. */
  shutDown(): Promise<void> {
    this.#closed = true;
    this.#timer?.timer.cancel();
    this.#ready.length = 0;
    this.#dirty.clear();
    this.#measure();
    for (const taker of this.#takers.splice(0)) taker(undefined);
    if (this.#processing.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #push(key: string): void {
    const taker = this.#takers.shift();
    if (taker) {
      taker(this.#hand(key));
      return;
    }
    this.#ready.push(key);
    this.#measure();
  }

  #hand(key: string): string {
    const nowMs = this.#clock.monotonicMs();
    this.#metrics.waitSeconds.observe(this.#labels, (nowMs - (this.#dirty.get(key) ?? nowMs)) / 1000);
    this.#dirty.delete(key);
    // Whatever it was to be looked at for later is looked at now; who works on it says anew when it is due.
    this.#delays.remove(key);
    this.#processing.set(key, nowMs);
    this.#measure();
    return key;
  }

  #arm(): void {
    const dueMs = this.#delays.nextDueMs;
    if (dueMs === undefined || (this.#timer && this.#timer.dueMs <= dueMs)) return;
    this.#timer?.timer.cancel();
    const timer = this.#clock.after(Math.max(0, dueMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      for (const key of this.#delays.takeDue(this.#clock.monotonicMs())) this.add(key);
      this.#arm();
    });
    this.#timer = { timer, dueMs };
  }

  #measure(): void {
    this.#metrics.depth.set(this.#labels, this.#ready.length);
  }

  #workedOnSeconds(): number[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#processing.values()].map((sinceMs) => (nowMs - sinceMs) / 1000);
  }
}
