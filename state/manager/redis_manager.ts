import { type Clock, systemClock } from '../../platform/clock.ts';
import { type Log, silentLog } from '../../platform/log.ts';
import { CALL_FENCED } from '../calls/errors.ts';
import { callKeys } from '../calls/keys.ts';
import type { ConversationSource } from '../calls/library_owner.ts';
import { RedisCallStore } from '../calls/store.ts';
import { CALL_TTLS } from '../calls/ttls.ts';
import type { RecordCodec } from '../envelope.ts';
import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { CallStore } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { type AuditOptions, auditKeys, type KeyAudit } from './audit.ts';
import { Batch } from './batch.ts';
import { VALUE_TOO_LARGE } from './errors.ts';
import { decodeJson, encodeJson, type JsonValue } from './json_value.ts';
import { OperationLog } from './operations.ts';
import { EXTEND_TTL, STORE_UNOWNED_CONTEXT } from './session_scripts.ts';
import { CallSessions, type SessionData } from './sessions.ts';
import { type CheckedKey, checkKey, checkWritable, lifeMs } from './write_rules.ts';

export interface RedisManagerOptions {
  client: RedisClient;
  keyManager: RedisKeyManager;
  clock?: Clock;
  log?: Log;
  /** Bytes of one value, 1 MiB unless told otherwise. */
  maxValueBytes?: number;
  /** How conversations are written; in clear without it. */
  codec?: RecordCodec;
  /** Where conversations stand; with `MigratingCallStore` those of older systems are found too. */
  calls?: CallStore;
}

export interface WriteOptions {
  /** Within the policy of the key's kind (docs/keys.md), else ERR_TTL_INVALID; the policy's default without it. */
  ttlSeconds?: number;
}

const MAX_VALUE_BYTES = 1024 * 1024;

/**
 * Records in Redis for applications beside the workers, under the same grammar and lifetimes. Every write carries its time to live in the
 * same command or script; every operation is bounded in time, counted, and logged with the correlation id. Errors are ERR_REDIS_…
 * when the server is away, and named ones of this folder for what the caller can mend.
 */
export class AsyncAzureRedisManager implements ConversationSource {
  readonly keyManager: RedisKeyManager;
  readonly correlationId: string | undefined;
  /** The conversations of `ConversationManager`. */
  readonly calls: CallStore;
  readonly clock: Clock;
  readonly #client: RedisClient;
  readonly #options: RedisManagerOptions;
  readonly #operations: OperationLog;
  readonly #sessions: CallSessions;
  readonly #maxValueBytes: number;

  constructor(options: RedisManagerOptions, correlationId?: string) {
    const { client, keyManager, clock = systemClock, log = silentLog } = options;
    this.keyManager = keyManager;
    this.correlationId = correlationId;
    this.#options = options;
    this.clock = clock;
    const store = { redis: client, keys: callKeys(keyManager), ttls: CALL_TTLS };
    this.calls = options.calls ?? new RedisCallStore(options.codec ? { ...store, codec: options.codec } : store);
    this.#client = client;
    this.#maxValueBytes = options.maxValueBytes ?? MAX_VALUE_BYTES;
    this.#operations = new OperationLog({ clock, log });
    this.#sessions = new CallSessions({ client, keyManager, maxValueBytes: this.#maxValueBytes });
  }

  /** The same manager on the same connection; all that it does is logged with this id. */
  correlatedBy(correlationId: string): AsyncAzureRedisManager {
    return new AsyncAzureRedisManager(this.#options, correlationId);
  }

  /** Replaces the application's fields of a call's session. A worker's own record of a live call stays beside them. */
  storeCallSession(callConnectionId: string, data: SessionData, options: WriteOptions = {}): Promise<void> {
    return this.#session('storeCallSession', () => this.#sessions.store(callConnectionId, data, options.ttlSeconds));
  }

  /** The application's fields; undefined when there is no session, or only a worker's own record. */
  getCallSession(callConnectionId: string): Promise<SessionData | undefined> {
    return this.#session('getCallSession', () => this.#sessions.read(callConnectionId));
  }

  /** False when there is no such session: an update must not make half of one. `extendTtl` gives it its whole life again. */
  updateSessionField(
    callConnectionId: string,
    field: string,
    value: JsonValue,
    options: { extendTtl?: boolean } = {},
  ): Promise<boolean> {
    const extend = options.extendTtl ?? true;
    return this.#session('updateSessionField', () => this.#sessions.change(callConnectionId, field, value, extend));
  }

  getSessionField(callConnectionId: string, field: string): Promise<JsonValue | undefined> {
    return this.#session('getSessionField', () => this.#sessions.field(callConnectionId, field));
  }

  /** False when there is no such session. */
  deleteSessionField(callConnectionId: string, field: string): Promise<boolean> {
    return this.#session('deleteSessionField', () => this.#sessions.change(callConnectionId, field, undefined, false));
  }

  async setJson(key: string, value: JsonValue, options: WriteOptions = {}): Promise<void> {
    const checked = checkKey(this.keyManager, key);
    const text = encodeJson(key, value, this.#maxValueBytes);
    const ttl = lifeMs(checked, options.ttlSeconds);
    await this.#tell('setJson', checked, () => this.#write(key, checked, text, ttl));
  }

  /** Undefined when there is none. */
  async getJson(key: string): Promise<JsonValue | undefined> {
    const checked = checkKey(this.keyManager, key);
    const text = await this.#tell('getJson', checked, () => this.#client.command<string | null>('GET', key));
    return text === null ? undefined : decodeJson(key, text);
  }

  async setBinary(key: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
    const checked = checkKey(this.keyManager, key);
    if (bytes.byteLength > this.#maxValueBytes)
      throw VALUE_TOO_LARGE.with(`${key}: ${bytes.byteLength} of ${this.#maxValueBytes} bytes`);
    const ttl = lifeMs(checked, options.ttlSeconds);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await this.#tell('setBinary', checked, () => this.#write(key, checked, buffer, ttl));
  }

  async getBinary(key: string): Promise<Buffer | undefined> {
    const checked = checkKey(this.keyManager, key);
    const read = () => this.#client.commandBuffer<Buffer | null>('GET', key);
    return (await this.#tell('getBinary', checked, read)) ?? undefined;
  }

  /** True when there was one. Only kinds that applications may write. */
  async delete(key: string): Promise<boolean> {
    const checked = checkKey(this.keyManager, key);
    checkWritable(checked);
    return (await this.#tell('delete', checked, () => this.#client.command<number>('UNLINK', key))) === 1;
  }

  /** Seconds left; undefined when the key is gone, `none` when it would live for ever (which nothing here writes). */
  async ttlSeconds(key: string): Promise<number | 'none' | undefined> {
    const checked = checkKey(this.keyManager, key);
    const left = await this.#tell('ttlSeconds', checked, () => this.#client.command<number>('PTTL', key));
    if (left === -2) return undefined;
    return left === -1 ? 'none' : left / 1000;
  }

  /** Extends to the policy's time to live or the given one, and never shortens; false when the key is gone. */
  async extendTtl(key: string, options: WriteOptions = {}): Promise<boolean> {
    const checked = checkKey(this.keyManager, key);
    const ttl = lifeMs(checked, options.ttlSeconds);
    return (await this.#tell('extendTtl', checked, () => this.#client.run<number>(EXTEND_TTL, [key], [ttl]))) !== -2;
  }

  /** Proof of who calls, for 15 minutes from now. Nothing extends it: a long call has to prove it again. */
  storeAuthState(callConnectionId: string, state: JsonValue, options: WriteOptions = {}): Promise<void> {
    return this.setJson(this.keyManager.authKey(callConnectionId), state, options);
  }

  getAuthState(callConnectionId: string): Promise<JsonValue | undefined> {
    return this.getJson(this.keyManager.authKey(callConnectionId));
  }

  /** Who may write a conversation; what `ConversationManager.fromRedis(sessionId, manager)` asks. */
  async owner(sessionId: string): ReturnType<ConversationSource['owner']> {
    const key = this.keyManager.callKey(sessionId, Component.FENCE);
    const [[fence, incarnation], ended] = await Promise.all([
      this.#client.command<(string | null)[]>('HMGET', key, 'fence', 'incarnation'),
      this.#client.command<number>('EXISTS', this.keyManager.summaryKey(sessionId)),
    ]);
    if (!fence) return undefined;
    return { fence: Number(fence), incarnation: incarnation ?? '', ended: ended === 1 };
  }

  /** Operations that leave in one write; each is atomic with its TTL, all of them together are not. */
  batch(): Batch {
    return new Batch(this);
  }

  /** Milliseconds of one round trip; rejects with ERR_REDIS_…. */
  async ping(): Promise<number> {
    const startMs = this.clock.monotonicMs();
    await this.#client.command('PING');
    return this.clock.monotonicMs() - startMs;
  }

  /** Walks the keyspace in small steps: keys without TTL, outside the grammar, beyond their policy, and of live calls that nobody refreshes. */
  audit(options: AuditOptions = {}): Promise<KeyAudit> {
    return auditKeys(this.#client, this.keyManager, options);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #write(key: string, checked: CheckedKey, value: string | Buffer, ttl: number): Promise<void> {
    if (checked.dataType !== 'conversation' || checked.component !== Component.CONTEXT) {
      checkWritable(checked);
      await this.#client.command('SET', key, value, 'PX', ttl);
      return;
    }
    const fence = this.keyManager.callKey(checked.identifier, Component.FENCE);
    if ((await this.#client.run<number>(STORE_UNOWNED_CONTEXT, [key, fence], [ttl, value])) === 0)
      throw CALL_FENCED.with('a worker owns this call: change its context through ConversationManager');
  }

  #session<T>(op: string, act: () => Promise<T>): Promise<T> {
    return this.#operations.tell(op, { dataType: 'call', component: Component.SESSION }, this.correlationId, act);
  }

  #tell<T>(op: string, checked: CheckedKey, act: () => Promise<T>): Promise<T> {
    return this.#operations.tell(op, checked, this.correlationId, act);
  }
}
