import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import { ttlMs } from '../keys/ttl.ts';
import type { RedisClient } from '../redis/client.ts';
import { VALUE_INVALID, VALUE_TOO_LARGE } from './errors.ts';
import { decodeJson, encodeJson, type JsonValue } from './json_value.ts';
import { CHANGE_SESSION_FIELD, STORE_SESSION } from './session_scripts.ts';

export type SessionData = Readonly<Record<string, JsonValue>>;

/** Names that begin with an underscore are the owner's. */
const FIELD = /^[A-Za-z][A-Za-z0-9._-]{0,127}$/;
const MAX_FIELDS = 128;

/** The application's part of `…:call:<id>:session`: one hash field for each member, as JSON. */
export class CallSessions {
  readonly #client: RedisClient;
  readonly #keys: RedisKeyManager;
  readonly #maxValueBytes: number;

  constructor(options: { client: RedisClient; keyManager: RedisKeyManager; maxValueBytes: number }) {
    this.#client = options.client;
    this.#keys = options.keyManager;
    this.#maxValueBytes = options.maxValueBytes;
  }

  async store(callConnectionId: string, data: SessionData, ttlSeconds: number | undefined): Promise<void> {
    const fields = Object.entries(data);
    if (fields.length > MAX_FIELDS) throw VALUE_TOO_LARGE.with(`session: ${fields.length} of ${MAX_FIELDS} fields`);
    const args: (string | number)[] = [ttlMs('call_session', ttlSeconds)];
    let bytes = 0;
    for (const [field, value] of fields) {
      const text = this.#encode(field, value);
      bytes += Buffer.byteLength(text);
      args.push(field, text);
    }
    if (bytes > this.#maxValueBytes) throw VALUE_TOO_LARGE.with(`session: ${bytes} of ${this.#maxValueBytes} bytes`);
    const created = await this.#client.run<number>(STORE_SESSION, [this.#key(callConnectionId)], args);
    if (created === 1) this.#client.metrics.keyCreated('call');
  }

  async read(callConnectionId: string): Promise<SessionData | undefined> {
    const reply = await this.#client.command<Record<string, string>>('HGETALL', this.#key(callConnectionId));
    const fields = Object.entries(reply);
    if (!fields.some(([field]) => field === '_app')) return undefined;
    return Object.fromEntries(
      fields
        .filter(([field]) => FIELD.test(field))
        .map(([field, text]) => [field, decodeJson(`session.${field}`, text)]),
    );
  }

  async field(callConnectionId: string, field: string): Promise<JsonValue | undefined> {
    checkField(field);
    const text = await this.#client.command<string | null>('HGET', this.#key(callConnectionId), field);
    return text === null ? undefined : decodeJson(`session.${field}`, text);
  }

  /** Undefined removes the field. */
  async change(id: string, field: string, value: JsonValue | undefined, extendTtl: boolean): Promise<boolean> {
    checkField(field);
    const args: (string | number)[] = [extendTtl ? ttlMs('call_session') : '', MAX_FIELDS, field];
    if (value !== undefined) args.push(this.#encode(field, value));
    const outcome = await this.#client.run<number>(CHANGE_SESSION_FIELD, [this.#key(id)], args);
    if (outcome === -1) throw VALUE_TOO_LARGE.with(`session: more than ${MAX_FIELDS} fields`);
    return outcome === 1;
  }

  #encode(field: string, value: JsonValue): string {
    checkField(field);
    return encodeJson(`session.${field}`, value, this.#maxValueBytes);
  }

  #key(callConnectionId: string): string {
    return this.#keys.callKey(callConnectionId, Component.SESSION);
  }
}

function checkField(field: string): void {
  if (!FIELD.test(field))
    throw VALUE_INVALID.with(`session field ${JSON.stringify(field.slice(0, 80))} is not a name of [A-Za-z0-9._-]`);
}
