import { type Clock, sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { KubeClient } from './client.ts';
import { isGone, KUBE_AWAY, KubeError } from './errors.ts';
import type { KubeObject, WatchEvent } from './objects.ts';
import { ReflectorBackoff } from './reflector_backoff.ts';
import type { Resource } from './resources.ts';

/** Where a reflector puts what it sees. Neither may throw. */
export interface ReflectorSink<T> {
  /** Everything there is; what is not in it is gone. */
  replace(objects: readonly T[]): void;
  change(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly resource: Resource<T>;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly sink: ReflectorSink<T>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** As client-go: pages of 500, streams of 5 to 10 minutes. */
const PAGE = 500;
const STREAM_MIN_SECONDS = 300;
/** The server sends a bookmark a minute, the first after up to two; a stream silent for longer may be dead, though nobody has said so. */
const STALL_MS = 150_000;
/** A stream that ends sooner was refused by something in between, not served. */
const SHORT_STREAM_MS = 1_000;

/** Lists once, then follows every change, for ever: whatever goes wrong, it goes on from the last version it has seen, or lists again. */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #backoff: ReflectorBackoff;
  /** Of its own: "too old" is an answer of a server that is well, however long nobody has answered before. */
  readonly #goneBackoff: ReflectorBackoff;
  #abort: AbortController | undefined;
  #running: Promise<void> | undefined;
  /** Version to go on from; undefined: list first. */
  #version: string | undefined;
  /** The token between two pages had run out: the next list comes in one piece. */
  #whole = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#backoff = new ReflectorBackoff(options.random);
    this.#goneBackoff = new ReflectorBackoff(options.random);
  }

  start(): void {
    if (this.#running) return;
    this.#abort = new AbortController();
    this.#running = this.#run(this.#abort.signal);
  }

  /** Resolves when nothing of it runs any more: from this call on the sink is not called again. */
  async stop(): Promise<void> {
    this.#abort?.abort(new Error('the reflector was stopped'));
    await this.#running;
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list(signal);
        else await this.#follow(this.#version, signal);
      } catch (error) {
        if (!signal.aborted) await this.#recover(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, resource, sink } = this.#options;
    const objects: T[] = [];
    const limit = this.#whole ? {} : { limit: PAGE };
    let next: string | undefined;
    let version: string;
    try {
      do {
        const query = { ...this.#selection(), ...limit, ...(next ? { continue: next } : {}) };
        const page = await client.list(resource, query, { signal });
        if (signal.aborted) return;
        for (const object of page.items) objects.push(object);
        ({ continue: next, resourceVersion: version } = page);
      } while (next !== undefined);
    } catch (error) {
      this.#whole = isGone(error) && next !== undefined;
      throw error;
    }
    this.#whole = false;
    sink.replace(objects);
    this.#version = version;
  }

  /** One stream, until the server ends it. */
  async #follow(version: string, signal: AbortSignal): Promise<void> {
    const { client, resource, random, clock } = this.#options;
    const stream = new AbortController();
    const stop = () => stream.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const giveUp = () => stream.abort(KUBE_AWAY.with(`watch ${resource.plural}: no event in ${STALL_MS} ms`));
    let stall = clock.after(STALL_MS, giveUp);
    const timeoutSeconds = Math.round(STREAM_MIN_SECONDS * (1 + random.fraction()));
    const startMs = clock.monotonicMs();
    try {
      const options = { ...this.#selection(), resourceVersion: version, timeoutSeconds };
      for await (const event of client.watch(resource, options, stream.signal)) {
        if (signal.aborted) return;
        stall.cancel();
        stall = clock.after(STALL_MS, giveUp);
        this.#take(event);
      }
    } catch (error) {
      throw stream.signal.aborted ? stream.signal.reason : error;
    } finally {
      stall.cancel();
      signal.removeEventListener('abort', stop);
    }
    if (clock.monotonicMs() - startMs < SHORT_STREAM_MS)
      throw KUBE_AWAY.with(`watch ${resource.plural}: ended at once`);
  }

  #take(event: WatchEvent<T>): void {
    const { resource, sink } = this.#options;
    switch (event.type) {
      case 'ERROR':
        throw new KubeError(event.object.code ?? 500, event.object, `watch ${resource.plural}`);
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED':
        sink.change(event.type, event.object);
        break;
      case 'BOOKMARK':
        break;
      default:
        throw new TypeError('an event of an unknown type');
    }
    // After the change: a stream that is cut in between brings it again.
    this.#version = event.object.metadata.resourceVersion ?? this.#version;
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, log, resource } = this.#options;
    const attributes = { resource: resource.plural, code: errorCode(error) };
    const backoff = isGone(error) ? this.#goneBackoff : this.#backoff;
    const first = backoff.isReset(clock.monotonicMs());
    const asked = error instanceof KubeError ? error.retryAfterMs : undefined;
    const waitMs = Math.max(asked ?? 0, backoff.nextMs(clock.monotonicMs()));
    if (isGone(error)) {
      // Also where the token of a list's page has run out.
      this.#version = undefined;
      log.info(attributes, 'the version is too old; listing again');
      if (first) return;
    } else log.warn({ ...attributes, err: error, waitMs: Math.round(waitMs) }, 'a watch broke; going on after a while');
    await sleep(clock, waitMs, signal).catch(() => undefined);
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}
