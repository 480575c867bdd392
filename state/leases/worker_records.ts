import type { AffinityRecord, HeartbeatRecord } from '../../contract/records.ts';
import { defineError } from '../../platform/errors.ts';
import type { ParkedCallback, Pulse } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { check, LEASE_RECORD_INVALID } from './codec.ts';
import type { LeaseKeys } from './lease_keys.ts';
import type { LeaseScripts } from './scripts/index.ts';

export const INBOX_FULL = defineError('ERR_INBOX_FULL', {
  status: 503,
  message: 'the inbox of the worker that owns this call is full',
  remedy: 'The callback comes again; look at why that worker does not read its inbox.',
});

export const PARKED_TOO_LONG = defineError('ERR_PARKED_TOO_LONG', {
  status: 413,
  message: 'a callback is too long to be parked',
  remedy: 'A callback of Call Automation is a few kilobytes; look at what was sent.',
});

/** Heartbeats that one command fetches. */
const PAGE = 500;
const PARKED_MAX_BYTES = 256 * 1024;

/** What controller and workers say of workers, and the inboxes. */
export class WorkerRecords {
  readonly #client: RedisClient;
  readonly #keys: LeaseKeys;
  readonly #scripts: LeaseScripts;
  /** Highest inbox number that reached us, by worker: acknowledged with the next heartbeat, so that a lost reply loses no callback. */
  readonly #received = new Map<string, string>();

  constructor(parts: { client: RedisClient; keys: LeaseKeys; scripts: LeaseScripts }) {
    this.#client = parts.client;
    this.#keys = parts.keys;
    this.#scripts = parts.scripts;
  }

  async beat(
    heartbeat: HeartbeatRecord,
  ): Promise<{ affinity: AffinityRecord | undefined; inbox: string[]; parked: ParkedCallback[] }> {
    const { worker } = heartbeat;
    const script = this.#scripts.beat;
    const [affinity, entries] = await this.#client.run<[string | null, string[]]>(
      script,
      this.#keys.of(script, worker),
      [
        check.worker(worker),
        check.incarnation(heartbeat.incarnation),
        check.whole('slots', heartbeat.slots),
        heartbeat.admits ? 1 : 0,
        check.endpoint(heartbeat.endpoint),
        JSON.stringify(heartbeat),
        this.#received.get(worker) ?? '-inf',
      ],
    );
    const parked: ParkedCallback[] = [];
    for (let index = 0; index + 1 < entries.length; index += 2) {
      const [, callRef = '', ...body] = (entries[index] ?? '').split('\n');
      parked.push({ callRef, body: body.join('\n') });
    }
    const last = entries.at(-1);
    if (last !== undefined) this.#received.set(worker, last);
    return {
      affinity: affinity === null ? undefined : parse<AffinityRecord>(affinity),
      inbox: parked.map(({ body }) => body),
      parked,
    };
  }

  async heartbeat(worker: string): Promise<HeartbeatRecord | undefined> {
    return this.#read<HeartbeatRecord>(this.#keys.worker(worker, 'heartbeat'));
  }

  /** Milliseconds until the heartbeat expires, or undefined when it has. */
  async heartbeatLeftMs(worker: string): Promise<number | undefined> {
    const leftMs = await this.#client.command<number>('PTTL', this.#keys.worker(worker, 'heartbeat'));
    return leftMs < 0 ? undefined : leftMs;
  }

  async heartbeats(): Promise<HeartbeatRecord[]> {
    const script = this.#scripts.liveWorkers;
    const workers = await this.#client.run<string[]>(script, this.#keys.of(script), []);
    return (await this.vitals(workers)).heartbeats;
  }

  async vitals(workers: readonly string[]): Promise<{ pulse: Pulse; heartbeats: HeartbeatRecord[] }> {
    const pool = [this.#keys.pool('refused'), this.#keys.pool('epoch')];
    let pulse: Pulse = { refusedTotal: 0, recovering: false };
    const heartbeats: HeartbeatRecord[] = [];
    for (let start = 0; start === 0 || start < workers.length; start += PAGE) {
      const keys = workers.slice(start, start + PAGE).map((worker) => this.#keys.worker(worker, 'heartbeat'));
      const replies = await this.#client.command<(string | null)[]>('MGET', ...pool, ...keys);
      const [refused = null, epoch = null, ...beats] = replies;
      pulse = { refusedTotal: Number(refused ?? 0), recovering: epoch === null };
      for (const text of beats) if (text !== null) heartbeats.push(parse<HeartbeatRecord>(text));
    }
    return { pulse, heartbeats };
  }

  async park(worker: string, callRef: string, body: string): Promise<void> {
    if (Buffer.byteLength(body) > PARKED_MAX_BYTES) throw PARKED_TOO_LONG.with(`call ref ${check.callRef(callRef)}`);
    const script = this.#scripts.park;
    const parked = await this.#client.run<number>(script, this.#keys.of(script, check.worker(worker)), [
      check.callRef(callRef),
      body,
    ]);
    if (parked === 0) throw INBOX_FULL.with(`worker ${worker}`);
  }

  writeAffinity(record: AffinityRecord): Promise<'written' | 'fenced'> {
    const script = this.#scripts.writeAffinity;
    return this.#client.run(script, this.#keys.of(script, record.worker), [
      check.worker(record.worker),
      check.whole('controllerFence', record.controllerFence),
      JSON.stringify(record),
      record.state,
      check.whole('slots', record.slots),
      check.endpoint(record.endpoint),
    ]);
  }

  affinity(worker: string): Promise<AffinityRecord | undefined> {
    return this.#read<AffinityRecord>(this.#keys.worker(worker, 'affinity'));
  }

  async #read<T>(key: string): Promise<T | undefined> {
    const text = await this.#client.command<string | null>('GET', key);
    return text === null ? undefined : parse<T>(text);
  }
}

function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw LEASE_RECORD_INVALID.with('a worker record', cause);
  }
}
