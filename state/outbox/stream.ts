import type { CallKeys } from '../calls/keys.ts';
import { type StreamItem, streamField } from '../calls/stored_records.ts';
import type { RedisClient } from '../redis/client.ts';
import { FINISH_SCRIPT, QUARANTINE_SCRIPT } from './scripts.ts';

/** Turns of one call are bounded; so is what may be refused of them. */
const MAX_QUARANTINED = 20_000;
const IDS_TTL_AFTER_END_MS = 10 * 60_000;

export interface OutboxStreamOptions {
  /** The patient client: archiving is background work. */
  redis: RedisClient;
  keys: CallKeys;
  quarantineTtlMs: number;
}

/** The archiver's side of the calls' outbox streams; the owner's side is the checkpoint. */
export class OutboxStream {
  readonly #redis: RedisClient;
  readonly #keys: CallKeys;
  readonly #quarantineTtlMs: number;

  constructor(options: OutboxStreamOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#quarantineTtlMs = options.quarantineTtlMs;
  }

  /** Oldest first. */
  read(callConnectionId: string, limit: number): Promise<StreamItem[]> {
    return this.#redis.command<StreamItem[]>('XRANGE', this.#keys.outbox(callConnectionId), '-', '+', 'COUNT', limit);
  }

  /** After the archive has confirmed them. */
  async remove(callConnectionId: string, streamIds: readonly string[]): Promise<void> {
    if (streamIds.length > 0) await this.#redis.command('XDEL', this.#keys.outbox(callConnectionId), ...streamIds);
  }

  async quarantine(callConnectionId: string, item: StreamItem, reason: string): Promise<void> {
    const fields = ['id', 'kind', 'e'].map((name) => streamField(item, name) ?? '');
    const keys = [this.#keys.outbox(callConnectionId), this.#keys.quarantine(callConnectionId)];
    await this.#redis.run(QUARANTINE_SCRIPT, keys, [
      item[0],
      ...fields,
      reason,
      this.#quarantineTtlMs,
      MAX_QUARANTINED,
    ]);
  }

  /** What stands in quarantine, with the reason of each. */
  async quarantined(callConnectionId: string): Promise<{ id: string; reason: string }[]> {
    const items = await this.#redis.command<StreamItem[]>('XRANGE', this.#keys.quarantine(callConnectionId), '-', '+');
    return items.map((item) => ({ id: streamField(item, 'id') ?? '', reason: streamField(item, 'reason') ?? '' }));
  }

  /** Ids that were ever appended, as long as Redis has not lost them. */
  async everAppended(callConnectionId: string): Promise<Set<string>> {
    const members = await this.#redis.command<string[]>('SMEMBERS', this.#keys.outboxIds(callConnectionId));
    return new Set(members.map((member) => member.slice(0, member.lastIndexOf('#'))));
  }

  /** True when the stream was empty and is gone. */
  async finish(callConnectionId: string): Promise<boolean> {
    const keys = [this.#keys.outbox(callConnectionId), this.#keys.outboxIds(callConnectionId)];
    return (await this.#redis.run<number>(FINISH_SCRIPT, keys, [IDS_TTL_AFTER_END_MS])) === 1;
  }
}
