/**
 * rtvoice as a library: the key grammar, the lifetimes and the conversation records that its processes use, for programs that read
 * or write the same Redis, and the pool document. What is exported here is the public interface; all else may change in any release.
 */
export {
  POOL_API_VERSION,
  POOL_KIND,
  type PoolCondition,
  type PoolSpec,
  type PoolStatus,
  parsePool,
  readPool,
  type VoiceWorkerPool,
} from './contract/pool.ts';
export { type Clock, systemClock, type Timer } from './platform/clock.ts';
export { type ErrorKind, errorCatalogue, RtvoiceError } from './platform/errors.ts';
export { createLog, type Log, silentLog } from './platform/log.ts';
export { createRegistry, type Registry } from './platform/metrics.ts';
export {
  type CallIdentity,
  ConversationManager,
  type ConversationOptions,
  type FromRedisOutcome,
} from './state/calls/conversation_manager.ts';
export { type CallKeys, callKeys } from './state/calls/keys.ts';
export type { ConversationSource } from './state/calls/library_owner.ts';
export { RedisCallStore, type RedisCallStoreOptions } from './state/calls/store.ts';
export { CALL_TTLS, type CallTtls } from './state/calls/ttls.ts';
export { KEY_KINDS, type KeyKind, keyKind, type RedisType } from './state/keys/catalogue.ts';
export { Component, DATA_TYPES, type DataType } from './state/keys/component.ts';
export {
  ENVIRONMENTS,
  type Environment,
  type KeyLayout,
  type ParsedKey,
  RedisKeyManager,
} from './state/keys/key_manager.ts';
export { TTL_POLICIES, type TtlPolicy, type TtlPurpose, ttlSeconds } from './state/keys/ttl.ts';
export { migrateLegacyKey } from './state/legacy/key_names.ts';
export { LegacyMetrics } from './state/legacy/metrics.ts';
export { MigratingCallStore } from './state/legacy/migrating_store.ts';
export { LegacyMigrator } from './state/legacy/migrator.ts';
export type { AuditOptions, KeyAudit, KeyFault } from './state/manager/audit.ts';
export type { Batch } from './state/manager/batch.ts';
export type { JsonValue } from './state/manager/json_value.ts';
export { AsyncAzureRedisManager, type RedisManagerOptions, type WriteOptions } from './state/manager/redis_manager.ts';
export type { SessionData } from './state/manager/sessions.ts';
export type {
  CallStore,
  CallSummary,
  Checkpoint,
  CheckpointOutcome,
  HistoryEntry,
  OutboxEntry,
  SessionRecord,
  StoredCall,
} from './state/ports.ts';
export { RedisClient, type RedisClientOptions } from './state/redis/client.ts';
