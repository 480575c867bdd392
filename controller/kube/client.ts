import type { Dispatcher } from 'undici';
import { type Clock, sleep } from '../../platform/clock.ts';
import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { KubeEndpoint } from './credentials.ts';
import { isBusy, isNotFound, KUBE_AWAY } from './errors.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeList, KubeObject, WatchEvent } from './objects.ts';
import { apiVersionOf, type ObjectRef, pathOf, type Resource } from './resources.ts';
import { KubeTransport, readText, refusal } from './transport.ts';
import { jsonLines } from './watch_lines.ts';

export interface KubeClientOptions {
  readonly endpoint: KubeEndpoint;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: KubeMetrics;
  /** Of one request but a watch, with what is tried again of it. */
  readonly timeoutMs?: number;
  readonly userAgent?: string;
}

export interface CallOptions {
  /** For requests that must not be late. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'NotOlderThan' | 'Exact';
}

export interface WatchOptions extends Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
  readonly resourceVersion: string;
  /** The server ends the stream by itself after this. */
  readonly timeoutSeconds: number;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes over fields that others own; one manager writes its fields always, so this is the default. */
  readonly force?: boolean;
}

export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

interface Call extends CallOptions {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
}

const TIMEOUT_MS = 10_000;
/** Waits that the server asks for are honoured once per request, up to this. */
const MAX_RETRY_AFTER_MS = 5_000;
/** The server refuses objects above 3 MiB of JSON. */
const MAX_EVENT_BYTES = 16 * 2 ** 20;
const JSON_TYPE = 'application/json';
const APPLY_TYPE = 'application/apply-patch+yaml';
const PATCH_TYPES = { merge: 'application/merge-patch+json', json: 'application/json-patch+json' } as const;

/** Requests to the API server as JSON. Every method but `watch` ends within its time-out and throws KubeError, or ERR_KUBE_AWAY for no answer. */
export class KubeClient {
  readonly #options: KubeClientOptions;
  readonly #transport: KubeTransport;

  constructor(options: KubeClientOptions) {
    this.#options = options;
    const { endpoint, metrics, userAgent = 'rtvoice-controller' } = options;
    this.#transport = new KubeTransport({ endpoint, metrics, userAgent });
  }

  /** Undefined when there is none. */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return (await this.#call({ ...options, method: 'GET', path: pathOf(resource, ref) })) as T;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** One page. A token of `continue` that has run out is a KubeError 410. */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    { namespace, ...query }: ListOptions = {},
    options: CallOptions = {},
  ): Promise<KubeList<T>> {
    const path = pathOf(resource, { namespace });
    const answer = (await this.#call({ ...options, method: 'GET', path, query })) as {
      items?: T[] | null;
      metadata?: { resourceVersion?: string; continue?: string };
    };
    const { resourceVersion = '', continue: next } = answer.metadata ?? {};
    return { items: answer.items ?? [], resourceVersion, ...(next ? { continue: next } : {}) };
  }

  /** One connection's events. Ends when the server ends it; throws KubeError, or ERR_KUBE_AWAY when the stream breaks. */
  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    { namespace, ...query }: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const path = pathOf(resource, { namespace });
    const asked = path + queryText({ ...query, watch: true, allowWatchBookmarks: true });
    try {
      const response = await this.#transport.send({ method: 'GET', path: asked, signal, watch: true });
      if (response.statusCode !== 200) throw await refusal(response, `watch ${path}`);
      for await (const event of jsonLines(response.body, MAX_EVENT_BYTES)) yield event as WatchEvent<T>;
    } catch (error) {
      if (signal.aborted || error instanceof RtvoiceError) throw error;
      throw KUBE_AWAY.with(`watch ${path}: ${errorCode(error)}`, error);
    }
  }

  /** An object of that name already there is a KubeError 409. */
  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    { dryRun = false, ...options }: CallOptions & { dryRun?: boolean } = {},
  ): Promise<T> {
    const path = pathOf(resource, { namespace: object.metadata.namespace });
    const query = { dryRun: dryRun ? 'All' : undefined };
    return (await this.#call({ ...options, method: 'POST', path, query, body: typed(resource, object) })) as T;
  }

  /** Server-side apply: the object says exactly what `fieldManager` owns of it. */
  async apply<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T> {
    return (await this.#apply(resource, object, options)) as T;
  }

  async applyStatus<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T> {
    return (await this.#apply(resource, object, options, 'status')) as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    body: unknown,
    type: keyof typeof PATCH_TYPES,
    { subresource, fieldManager }: { subresource?: string; fieldManager?: string } = {},
  ): Promise<T> {
    const path = pathOf(resource, { ...ref, ...(subresource === undefined ? {} : { subresource }) });
    const contentType = PATCH_TYPES[type];
    return (await this.#call({ method: 'PATCH', path, query: { fieldManager }, body, contentType })) as T;
  }

  /** Replaces the object; its resourceVersion must still be the newest, else a KubeError 409. */
  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: CallOptions = {}): Promise<T> {
    const path = pathOf(resource, object.metadata);
    return (await this.#call({ ...options, method: 'PUT', path, body: typed(resource, object) })) as T;
  }

  /** `absent` when there was none. A precondition that does not hold is a KubeError 409. */
  async delete(
    resource: Resource<KubeObject>,
    ref: ObjectRef,
    { uid, resourceVersion, ...rest }: DeleteOptions = {},
  ): Promise<'deleted' | 'absent'> {
    const preconditions = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions, ...rest };
    try {
      await this.#call({ method: 'DELETE', path: pathOf(resource, ref), body });
      return 'deleted';
    } catch (error) {
      if (isNotFound(error)) return 'absent';
      throw error;
    }
  }

  /** Breaks off what runs; nothing can be asked any more. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  #apply(
    resource: Resource<KubeObject>,
    object: KubeObject,
    { fieldManager, force = true }: ApplyOptions,
    subresource?: string,
  ): Promise<unknown> {
    const { namespace, name } = object.metadata;
    const path = pathOf(resource, { namespace, name, ...(subresource === undefined ? {} : { subresource }) });
    // JSON is YAML.
    const body = typed(resource, object);
    return this.#call({ method: 'PATCH', path, query: { fieldManager, force }, body, contentType: APPLY_TYPE });
  }

  async #call(call: Call): Promise<unknown> {
    const { clock } = this.#options;
    const limitMs = call.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
    const what = `${call.method} ${call.path}`;
    const abort = new AbortController();
    const stop = () => abort.abort(call.signal?.reason);
    if (call.signal?.aborted) stop();
    call.signal?.addEventListener('abort', stop, { once: true });
    const timer = clock.after(limitMs, () => abort.abort(KUBE_AWAY.with(`${what}: no answer in ${limitMs} ms`)));
    try {
      return await this.#withRetry(call, what, abort.signal, clock.monotonicMs() + limitMs);
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason;
      if (error instanceof RtvoiceError) throw error;
      throw KUBE_AWAY.with(`${what}: ${errorCode(error)}`, error);
    } finally {
      timer.cancel();
      call.signal?.removeEventListener('abort', stop);
    }
  }

  /** A server that is busy and says for how long is asked once more after that, if there is time. */
  async #withRetry(call: Call, what: string, signal: AbortSignal, endMs: number): Promise<unknown> {
    const { clock, log } = this.#options;
    try {
      return await this.#once(call, what, signal);
    } catch (error) {
      if (!isBusy(error) || error.retryAfterMs === undefined) throw error;
      const waitMs = error.retryAfterMs;
      if (waitMs > MAX_RETRY_AFTER_MS || clock.monotonicMs() + waitMs >= endMs) throw error;
      log.debug({ status: error.status, waitMs }, 'the API server asks to wait');
      await sleep(clock, waitMs, signal);
      return this.#once(call, what, signal);
    }
  }

  async #once(call: Call, what: string, signal: AbortSignal): Promise<unknown> {
    const { method, path, query = {}, body, contentType = JSON_TYPE } = call;
    const response = await this.#transport.send({
      ...{ method, path: path + queryText(query), signal, watch: false },
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType }),
    });
    if (response.statusCode < 200 || response.statusCode >= 300) throw await refusal(response, what);
    return JSON.parse(await readText(response.body)) as unknown;
  }
}

function typed<T extends KubeObject>(resource: Resource<T>, object: T): T {
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
}

function queryText(query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const entries = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries)}`;
}
