import { Component, type DataType } from './component.ts';
import { TTL_POLICIES, type TtlPolicy, type TtlPurpose } from './ttl.ts';

export type RedisType = 'string' | 'hash' | 'set' | 'zset' | 'stream' | 'list';

/** One kind of key: what stands in it and how long it lives. */
export interface KeyKind {
  readonly dataType: DataType;
  /** Undefined where the last segment is free text (`cache:tts:<hash>`). */
  readonly component: Component | undefined;
  readonly redisType: RedisType;
  readonly ttl: TtlPurpose;
}

const kind = (
  dataType: DataType,
  component: Component | undefined,
  redisType: RedisType,
  ttl: TtlPurpose,
): KeyKind => ({ dataType, component, redisType, ttl });

/** Every kind of key there is, and so the table that joins the documents' purposes to data types and components. */
export const KEY_KINDS: readonly KeyKind[] = [
  kind('call', Component.SESSION, 'hash', 'call_session'),
  kind('call', Component.FENCE, 'hash', 'outbox'),
  kind('call', Component.OUTBOX, 'stream', 'outbox'),
  kind('call', Component.OUTBOX_IDS, 'set', 'outbox'),
  kind('call', Component.QUARANTINE, 'stream', 'outbox'),
  kind('call', Component.SUMMARY, 'string', 'call_summary'),
  kind('call', Component.RECORDING, 'string', 'call_session'),
  kind('call', Component.PARTICIPANTS, 'string', 'call_session'),
  kind('call', Component.MEDIA_STREAM, 'string', 'call_session'),
  kind('conversation', Component.CONTEXT, 'string', 'conversation_context'),
  kind('conversation', Component.HISTORY, 'stream', 'session_history'),
  kind('worker', Component.AFFINITY, 'string', 'affinity'),
  kind('worker', Component.HEARTBEAT, 'string', 'heartbeat'),
  kind('worker', Component.INBOX, 'list', 'inbox'),
  kind('cache', undefined, 'string', 'tts_cache'),
  kind('profile', Component.COPY, 'string', 'profile_copy'),
  kind('profile', Component.KEYS, 'hash', 'outbox'),
  kind('auth', Component.STATE, 'string', 'authentication_state'),
  kind('system', Component.LEASES, 'hash', 'pool_index'),
  kind('system', Component.OWNED, 'zset', 'pool_index'),
  kind('system', Component.LAPSED, 'zset', 'pool_index'),
  kind('system', Component.EXPIRY, 'zset', 'pool_index'),
  kind('system', Component.PURGE, 'zset', 'pool_index'),
  kind('system', Component.RINGS, 'hash', 'pool_index'),
  kind('system', Component.FENCES, 'string', 'pool_index'),
  kind('system', Component.EPOCH, 'string', 'lease'),
  kind('system', Component.RECOVERY, 'string', 'recovery'),
  kind('system', Component.INDEX, 'zset', 'pool_index'),
  kind('system', Component.WORKERS, 'hash', 'pool_index'),
  kind('system', Component.BEATS, 'zset', 'pool_index'),
  kind('system', Component.UNSENT, 'zset', 'outbox'),
  kind('system', Component.UNSENT_CALLS, 'hash', 'outbox'),
  kind('system', Component.DRAINS, 'hash', 'outbox'),
  kind('system', Component.REFUSED, 'string', 'pool_index'),
  kind('system', Component.REFUSALS, 'list', 'explanations'),
  kind('system', Component.CONTROLLER, 'string', 'controller_fence'),
  kind('system', Component.LAYOUT, 'string', 'layout_marker'),
  kind('system', Component.METRICS, 'string', 'system_records'),
  kind('system', Component.HEALTH, 'string', 'system_records'),
];

const BY_TYPE: ReadonlyMap<DataType, ReadonlyMap<string | undefined, KeyKind>> = grouped();

function grouped(): Map<DataType, Map<string | undefined, KeyKind>> {
  const byType = new Map<DataType, Map<string | undefined, KeyKind>>();
  for (const each of KEY_KINDS) {
    const components = byType.get(each.dataType) ?? new Map<string | undefined, KeyKind>();
    byType.set(each.dataType, components.set(each.component, each));
  }
  return byType;
}

/** Undefined for a component that the data type does not have. */
export function keyKind(dataType: DataType, component: string | undefined): KeyKind | undefined {
  const components = BY_TYPE.get(dataType);
  return components?.get(component) ?? components?.get(undefined);
}

export function ttlPolicy({ ttl }: KeyKind): TtlPolicy {
  return TTL_POLICIES[ttl];
}
