import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '../../platform/clock.ts';
import type { CallbackRecord } from '../caller/record.ts';
import type { Poster } from './poster.ts';

/** How callbacks of a call are disturbed. */
export interface CallbackFaults {
  /** Each comes so much later. */
  delayMs: number;
  /** Each POST is sent twice. */
  duplicate: boolean;
  /** Of two events that follow each other within 200 ms the second is sent first. */
  reorder: boolean;
  /** Two events that follow each other within 200 ms share one array. */
  batch: boolean;
  /** Events of these types, without `Microsoft.Communication.`, are never sent; `*` is all. */
  drop: readonly string[];
}

export const NO_CALLBACK_FAULTS: CallbackFaults = {
  delayMs: 0,
  duplicate: false,
  reorder: false,
  batch: false,
  drop: [],
};

export interface CallbacksOptions {
  callConnectionId: string;
  url: string;
  /** A token of five minutes, new for each POST. */
  token(): Promise<string>;
  faults(): CallbackFaults;
  poster: Poster;
  clock: Clock;
  record: CallbackRecord[];
  onAttempt(type: string, status: number): void;
}

interface Outgoing {
  url: string;
  event: Record<string, unknown>;
  record: CallbackRecord;
}

const PAIR_WAIT_MS = 200;
const TIMEOUT_MS = 10_000;
const RETRY_DELAYS_MS = [500, 1_000, 2_000, 4_000];
/** A slow receiver holds back the next event for so long at most. */
const ORDER_WAIT_MS = 1_000;

/** Sends the events of one call: in order at first, each tried again by itself when it failed. */
export class Callbacks {
  readonly #options: CallbacksOptions;
  readonly #held: Outgoing[] = [];
  readonly #ended = new AbortController();
  #last: Promise<void> = Promise.resolve();
  #closing = false;

  constructor(options: CallbacksOptions) {
    this.#options = options;
  }

  /** `data` beside the ids that every event carries. Nothing is sent after `sendLast`. */
  send(type: string, data: Record<string, unknown>, url?: string): void {
    if (this.#closing) return;
    this.#queue(type, data, url ?? this.#options.url);
  }

  /** Resolves when it has been tried once. */
  async sendLast(type: string, data: Record<string, unknown>): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#queue(type, data, this.#options.url);
    this.#flush();
    await this.#last;
  }

  stop(): void {
    this.#closing = true;
    this.#ended.abort();
  }

  #queue(type: string, data: Record<string, unknown>, url: string): void {
    const { callConnectionId, faults } = this.#options;
    const { drop } = faults();
    if (drop.includes('*') || drop.includes(type)) return;
    const source = `calling/callConnections/${callConnectionId}`;
    const event = {
      ...{ id: randomUUID(), source, type: `Microsoft.Communication.${type}`, data, time: new Date().toISOString() },
      ...{ specversion: '1.0', datacontenttype: 'application/json', subject: source },
    };
    const record: CallbackRecord = { type, statuses: [] };
    this.#options.record.push(record);
    this.#held.push({ url, event, record });
    const pairs = faults().reorder || faults().batch;
    if (!pairs || this.#held.length === 2) this.#flush();
    else this.#options.clock.after(PAIR_WAIT_MS, () => this.#flush());
  }

  #flush(): void {
    const held = this.#held.splice(0);
    if (held.length === 0) return;
    const { reorder, batch, duplicate, delayMs } = this.#options.faults();
    const ordered = reorder ? held.reverse() : held;
    const together = batch && ordered.every(({ url }) => url === ordered[0]?.url);
    for (const group of together ? [ordered] : ordered.map((each) => [each])) {
      for (let copies = duplicate ? 2 : 1; copies > 0; copies--) this.#last = this.#after(this.#last, group, delayMs);
    }
  }

  async #after(before: Promise<void>, group: readonly Outgoing[], delayMs: number): Promise<void> {
    const { clock } = this.#options;
    if (delayMs > 0) await sleep(clock, delayMs, this.#ended.signal).catch(() => undefined);
    await before;
    const first = this.#attempt(group);
    void first.then((status) => this.#retry(group, status));
    await Promise.race([first, sleep(clock, ORDER_WAIT_MS)]);
  }

  async #retry(group: readonly Outgoing[], firstStatus: number): Promise<void> {
    let status = firstStatus;
    for (const delayMs of RETRY_DELAYS_MS) {
      if (status !== 0 && status < 500) return;
      await sleep(this.#options.clock, delayMs, this.#ended.signal).catch(() => undefined);
      if (this.#ended.signal.aborted) return;
      status = await this.#attempt(group);
    }
  }

  async #attempt(group: readonly Outgoing[]): Promise<number> {
    const { poster, token, onAttempt, url } = this.#options;
    const { status } = await poster.send('POST', group[0]?.url ?? url, {
      headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${await token()}` },
      body: JSON.stringify(group.map(({ event }) => event)),
      timeoutMs: TIMEOUT_MS,
    });
    for (const { record } of group) {
      record.statuses.push(status);
      onAttempt(record.type, status);
    }
    return status;
  }
}
