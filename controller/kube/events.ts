import { type Clock, sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { KubeClient } from './client.ts';
import { isConflict, isNotFound, isRetryable } from './errors.ts';
import { EventCorrelator, rememberIn } from './event_correlator.ts';
import { microTime } from './micro_time.ts';
import type { KubeEvent, KubeObject } from './objects.ts';
import { EVENTS } from './resources.ts';

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  readonly component: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export type Regarding = KubeObject & { apiVersion: string; kind: string };

/** As client-go: an event is written up to 12 times, 10 s apart, while the server is away. */
const TRIES_MAX = 12;
const RETRY_MS = 10_000;
/** An event seen again after this is a new one. */
const SERIES_MS = 600_000;
const MAX_REMEMBERED = 4_096;
const MAX_WAITING = 1_000;
/** Limits of the API: bytes of a note, characters of the other fields. */
const NOTE_MAX_BYTES = 1_024;
const WORD_MAX = 128;
const NAME_MAX = 230;

interface Series {
  event: KubeEvent;
  count: number;
  lastMs: number;
}

/** Events for people, as `kubectl describe` shows them. Never throws and never waits: what cannot be written is dropped and logged. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #correlator: EventCorrelator;
  readonly #series = new Map<string, Series>();
  readonly #abort = new AbortController();
  #waiting = 0;
  #dropped = 0;
  #chain: Promise<void> = Promise.resolve();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#correlator = new EventCorrelator(options.clock);
  }

  /** `message` is for people, at most 1 KiB. `action` is what was done about it, one word; the reason when left out. */
  event(regarding: Regarding, type: 'Normal' | 'Warning', reason: string, message: string, action = reason): void {
    const subject = regarding.metadata.uid ?? `${regarding.metadata.namespace}/${regarding.metadata.name}`;
    const verdict = this.#correlator.judge({ subject, type, reason, note: message });
    if (verdict.act === 'drop') {
      this.#options.log.debug({ reason }, 'an object has too many events; one is left out');
      return;
    }
    const { key, note } = verdict;
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#series.get(key);
    const series =
      known && nowMs - known.lastMs <= SERIES_MS
        ? known
        : { event: this.#build(regarding, type, reason, note, action), count: 0, lastMs: nowMs };
    series.count++;
    series.lastMs = nowMs;
    rememberIn(this.#series, key, series, MAX_REMEMBERED);
    const { count } = series;
    this.#enqueue(reason, () => (count === 1 ? this.#create(series) : this.#count(series, count)));
  }

  /** Resolves when everything told so far is written or given up. */
  flushed(): Promise<void> {
    return this.#chain;
  }

  /** Gives up what the server does not take at once. */
  async close(): Promise<void> {
    this.#abort.abort(new Error('the recorder was closed'));
    await this.#chain;
  }

  async #create({ event }: Series): Promise<void> {
    try {
      await this.#options.client.create(EVENTS, event);
    } catch (error) {
      // Its name is random: it is this very event, written by a try whose answer was lost.
      if (!isConflict(error)) throw error;
    }
  }

  async #count(series: Series, count: number): Promise<void> {
    const { client, clock } = this.#options;
    const { name, namespace = 'default' } = series.event.metadata;
    const body = { series: { count, lastObservedTime: microTime(clock.wallMs()) } };
    try {
      await client.patch(EVENTS, { namespace, name }, body, 'merge');
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Events live for an hour, or the first try was given up: this one stands for all.
      await this.#create(series);
    }
  }

  #build(regarding: Regarding, type: 'Normal' | 'Warning', reason: string, note: string, action: string): KubeEvent {
    const { component, instance, clock, random } = this.#options;
    const { name, namespace, uid, resourceVersion } = regarding.metadata;
    return {
      // Of an object outside namespaces: in the default one, by the rule of the API.
      metadata: { name: `${name.slice(0, NAME_MAX)}.${random.id(16)}`, namespace: namespace ?? 'default' },
      eventTime: microTime(clock.wallMs()),
      reportingController: component,
      reportingInstance: instance.slice(0, WORD_MAX),
      action: action.slice(0, WORD_MAX),
      reason: reason.slice(0, WORD_MAX),
      note: cutToBytes(note, NOTE_MAX_BYTES),
      type,
      regarding: {
        ...{ apiVersion: regarding.apiVersion, kind: regarding.kind, name },
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
    };
  }

  /** One after the other, so that they stand in the order in which they happened. */
  #enqueue(reason: string, write: () => Promise<void>): void {
    const { log } = this.#options;
    if (this.#waiting >= MAX_WAITING) {
      if (this.#dropped++ === 0) log.warn({ reason, waiting: MAX_WAITING }, 'events are lost: too many wait');
      return;
    }
    this.#waiting++;
    this.#chain = this.#chain
      .then(() => this.#withTries(write))
      .catch((error: unknown) => {
        log.warn({ reason, code: errorCode(error) }, 'an event could not be written');
      })
      .finally(() => {
        this.#waiting--;
        if (this.#waiting === 0) this.#dropped = 0;
      });
  }

  async #withTries(write: () => Promise<void>): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#abort;
    for (let tries = 1; ; tries++) {
      try {
        return await write();
      } catch (error) {
        if (tries >= TRIES_MAX || signal.aborted || !isRetryable(error)) throw error;
        // The first wait is spread, so that replicas do not come together.
        await sleep(clock, tries === 1 ? RETRY_MS * random.fraction() : RETRY_MS, signal);
      }
    }
  }
}

/** Whole characters alone. */
function cutToBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8');
  return bytes.length <= maxBytes
    ? text
    : bytes
        .subarray(0, maxBytes)
        .toString('utf8')
        .replace(/\uFFFD+$/, '');
}
