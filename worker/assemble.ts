import { renameSync, writeFileSync } from 'node:fs';
import type { TokenCredential } from '@azure/identity';
import { newIncarnation, poolTag } from '../contract/ids.ts';
import { type PoolSpec, readPool } from '../contract/pool.ts';
import { callUrls } from '../contract/urls.ts';
import { createCredential } from '../platform/azure_credential.ts';
import { systemClock } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { systemRandom } from '../platform/random.ts';
import { createSecurity, type Security } from '../security/security.ts';
import { ConversationMetrics } from '../state/calls/conversation_metrics.ts';
import { CALL_TTLS, refreshPeriodMs } from '../state/calls/ttls.ts';
import { createAcsCalls } from './acs/client.ts';
import { type Archiving, createArchiving } from './archiving.ts';
import { registerGauges } from './calls/gauges.ts';
import { HandOffClient } from './calls/hand_off.ts';
import { type HostOptions, WorkerCalls } from './calls/host.ts';
import { createCallMetrics } from './calls/metrics.ts';
import { CallRecord } from './calls/record.ts';
import { warmCredential } from './credential.ts';
import { createWorkerHealth, type WorkerHealth } from './health.ts';
import { createHealthProviders } from './health_providers.ts';
import { followPool } from './live_spec.ts';
import { createMediaFactory } from './media/factory.ts';
import type { Process } from './process.ts';
import { RedisPressure } from './redis_pressure.ts';
import { createServer, type WorkerServer } from './server.ts';
import type { WORKER_SETTINGS } from './settings.ts';
import { openStores, type Stores } from './stores.ts';
import { createVoiceBackend } from './voice/backend.ts';
import type { VoiceBackend } from './voice/ports.ts';

/** A token outlives the longest call by this, so that a late callback still gets in. */
const TOKEN_GRACE_MS = 10 * 60_000;
const DISCONNECT_GRACE_MS = 5_000;
const REDIS_START_WAIT_MS = 1_000;

type WorkerConfig = Config<typeof WORKER_SETTINGS>;

export interface RunningWorker {
  /** As SIGTERM: no new calls, those it has go on to their end, then everything is closed. */
  drainAndStop(): Promise<void>;
}

/** Builds one worker from its settings and starts it; resolves when it serves. */
export async function startWorker(config: WorkerConfig, log: Log): Promise<RunningWorker> {
  const { spec } = readPool(config.poolFile, {
    // A newer controller writes what it knows; a worker of an older image must start from it all the same.
    onUnknown: (fields) => log.warn({ fields }, 'the pool document has fields that this version does not know'),
  });
  const shared: Process = {
    clock: systemClock,
    random: systemRandom,
    log,
    registry: createRegistry({ processMetrics: true }),
    worker: config.workerId,
    incarnation: newIncarnation(systemRandom),
  };
  const parts = build(config, spec, shared);
  const { host, server, backend, archiving, stores, health } = parts;
  await backend.ready();
  const ports = await server.listen();
  parts.listensOn(ports.internalPort);
  health.freezeBaseline();
  archiving.start();
  parts.pressure.start();
  host.serving();
  await join(stores, host, log);
  const stopFollowing = followPool(config.poolFile, spec, log);
  server.setReady(true);
  if (config.readyFile !== undefined)
    writeReadyFile(config.readyFile, { ...ports, pid: process.pid, incarnation: shared.incarnation });
  log.info({ worker: shared.worker, incarnation: shared.incarnation, ...ports }, 'serving');

  return {
    async drainAndStop() {
      await host.finishAll();
      stopFollowing();
      server.setReady(false);
      host.close();
      await archiving.stop();
      await server.close();
      await backend.close();
      await parts.handOffs.close();
      parts.pressure.stop();
      await stores.close();
      health.stop();
    },
  };
}

interface Parts {
  host: WorkerCalls;
  server: WorkerServer;
  backend: VoiceBackend;
  archiving: Archiving;
  stores: Stores;
  health: WorkerHealth;
  handOffs: HandOffClient;
  pressure: RedisPressure;
  /** The internal listener's port is known: other workers reach this one there. */
  listensOn(internalPort: number): void;
}

/** Makes the parts and joins them; nothing listens yet. */
function build(config: WorkerConfig, spec: PoolSpec, shared: Process): Parts {
  const pool = { namespace: config.namespace, pool: config.pool };
  const { clock, registry, log } = shared;
  const health = createWorkerHealth({ registry, clock, configuredLimitBytes: spec.worker.memoryLimitMiB * 2 ** 20 });
  const stores = openStores({
    ...config,
    process: shared,
    spec,
    pool,
    mayCachePhrases: () => pressure.level === 'none',
  });
  const pressure: RedisPressure = new RedisPressure({
    ...{ client: stores.patientRedis, clock, log, registry },
    marks: () => spec.redis.shed,
  });
  const backend = openVoice(config, spec, shared, stores);
  const security = createSecurity({ config, registry, log, clock });
  const credential = createCredential(process.env.AZURE_AUTHORITY_HOST);
  warmCredential(credential, log);
  const archiving = openArchiving(config, shared, stores, credential, () => host);
  const handOffs = new HandOffClient(config.internalKeys);
  const acs = createAcsCalls({ endpoint: config.acsEndpoint, credential, registry });
  let endpoint = config.internalUrl ?? '';
  const host: WorkerCalls = new WorkerCalls({
    calls: { ...callParts({ config, spec, shared, stores, backend, security, archiving }), acs },
    leases: stores.leases,
    redis: stores.redis,
    handOffs,
    archive: archiving,
    view: workerView(health, archiving, {
      endpoint: () => endpoint,
      relayedSockets: () => server.relayedSockets(),
      redisFull: () => pressure.level === 'calls',
      text: config.statusText,
    }),
    refreshAfterMs: refreshPeriodMs(CALL_TTLS),
  });
  registerGauges(registry, gaugesOf(host, spec, archiving, shared.incarnation));
  const { redisUrl } = config;
  const checked = { redis: stores.patientRedis, redisUrl, environment: spec.environment, health, clock };
  const healthProviders = createHealthProviders(checked);
  const server = createServer({ config, host, security, registry, log, clock, healthProviders, health });
  const listensOn = (port: number) => {
    endpoint ||= `http://${config.bindAddress}:${port}`;
  };
  return { host, server, backend, archiving, stores, health, handOffs, pressure, listensOn };
}

function openArchiving(
  config: WorkerConfig,
  shared: Process,
  stores: Stores,
  credential: TokenCredential,
  host: () => WorkerCalls,
): Archiving {
  return createArchiving({
    ...shared,
    endpoint: config.cosmosEndpoint,
    database: config.cosmosDatabase,
    credential,
    redis: stores.patientRedis,
    keys: stores.callKeys,
    store: stores.calls,
    leases: stores.leases,
    onArchived: (id, ids) => host().archived(id, ids),
    onQuarantined: (id, ids) => host().quarantined(id, ids),
    onMissing: (id) => host().missing(id),
  });
}

function openVoice(config: WorkerConfig, spec: PoolSpec, shared: Process, stores: Stores): VoiceBackend {
  const { clock, log, registry } = shared;
  return createVoiceBackend({
    backend: spec.voice.backend,
    dialogueFile: spec.voice.dialogue,
    voiceName: spec.voice.voiceName,
    cache: stores.tts,
    clock,
    log,
    registry,
    workDir: config.workDir,
  });
}

interface CallParts {
  config: WorkerConfig;
  spec: PoolSpec;
  shared: Process;
  stores: Stores;
  backend: VoiceBackend;
  security: Security;
  archiving: Archiving;
}

function callParts({
  config,
  spec,
  shared,
  stores,
  backend,
  security,
  archiving,
}: CallParts): Omit<HostOptions['calls'], 'acs'> {
  const { clock, random, log, registry, worker, incarnation } = shared;
  const pool = { namespace: config.namespace, pool: config.pool };
  const conversation = { store: stores.calls, metrics: new ConversationMetrics(registry), onStored: archiving.stored };
  return {
    pool,
    worker,
    incarnation,
    spec,
    clock,
    random,
    log,
    backend,
    metrics: createCallMetrics(registry),
    disconnectGraceMs: DISCONNECT_GRACE_MS,
    createMedia: createMediaFactory({
      process: shared,
      sampleRateHertz: spec.call.sampleRateHertz,
      turnTaking: backend.turnTaking,
    }),
    openRecord: (call) => new CallRecord({ conversation, clock, worker, callerIdKey: config.callerIdKey }, call),
    urls: (callRef) => {
      const expiresAtMs = clock.wallMs() + spec.call.maxDurationSeconds * 1000 + TOKEN_GRACE_MS;
      const token = security.callTokens.issue({ tag: poolTag(pool), callRef, expiresAtMs });
      return callUrls({ publicUrl: config.publicUrl, ref: pool, worker, callRef, token });
    },
  };
}

function workerView(
  health: WorkerHealth,
  archiving: Archiving,
  more: { endpoint: () => string; relayedSockets: () => number; redisFull: () => boolean; text: boolean },
): HostOptions['view'] {
  return {
    endpoint: more.endpoint,
    memoryBytes: () => health.memory().rssBytes,
    memoryBaselineBytes: () => health.memory().baselineBytes,
    eventLoopLagMs: () => health.eventLoopLagMs(),
    relayedSockets: more.relayedSockets,
    unsentRecords: () => archiving.pending,
    redisFull: more.redisFull,
    statusText: more.text,
  };
}

function gaugesOf(
  host: WorkerCalls,
  spec: PoolSpec,
  archiving: Archiving,
  incarnation: string,
): Parameters<typeof registerGauges>[1] {
  return {
    activeCalls: () => host.registry.size,
    capacity: () => (host.heartbeat().admits ? spec.slotsPerWorker : 0),
    draining: () => host.drainState.draining,
    unsentRecords: () => archiving.pending,
    oldestCallSeconds: () => host.heartbeat().oldestCallSeconds ?? 0,
    meanCallAgeSeconds: () => host.heartbeat().meanCallAgeSeconds ?? 0,
    incarnation,
  };
}

/** A Redis that is away now must not keep a worker from serving: it says so in its status and joins when Redis is back. */
async function join(stores: Stores, host: WorkerCalls, log: Log): Promise<void> {
  await stores.redis.ready(REDIS_START_WAIT_MS).catch(() => log.warn('Redis does not answer; starting without it'));
  stores.redis.on('up', () => void host.recovery.redisIsBack());
  await host.recovery.redisIsBack();
}

/** In one step, so that a reader never sees half of it. */
function writeReadyFile(path: string, ready: Record<string, unknown>): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(ready)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
