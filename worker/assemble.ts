import { renameSync, writeFileSync } from 'node:fs';
import type { TokenCredential } from '@azure/identity';
import { newIncarnation, poolTag } from '../contract/ids.ts';
import { type PoolSpec, readPool } from '../contract/pool.ts';
import type { HeartbeatRecord } from '../contract/records.ts';
import { createCredential } from '../platform/azure_credential.ts';
import { systemClock } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { systemRandom } from '../platform/random.ts';
import { createSecurity } from '../security/security.ts';
import { CALL_TTLS, refreshPeriodMs } from '../state/calls/ttls.ts';
import { pinLayout } from '../state/keys/layout_marker.ts';
import { createAcsCalls } from './acs/client.ts';
import { type Archiving, createArchiving } from './archiving.ts';
import { callParts, gaugesOf, workerView } from './call_parts.ts';
import { registerGauges } from './calls/gauges.ts';
import { HandOffClient } from './calls/hand_off.ts';
import { WorkerCalls } from './calls/host.ts';
import { warmCredential } from './credential.ts';
import { type Feeds, openFeeds } from './feeds.ts';
import { createWorkerHealth, type WorkerHealth } from './health.ts';
import { createHealthProviders } from './health_providers.ts';
import { followPool } from './live_spec.ts';
import type { Process } from './process.ts';
import { RedisPressure } from './redis_pressure.ts';
import { createServer, type WorkerServer } from './server.ts';
import type { WORKER_SETTINGS } from './settings.ts';
import { createSpooling, type Spooling, spoolParent } from './spooling.ts';
import { openStores, type Stores } from './stores.ts';
import { SystemMetrics } from './system_metrics.ts';
import { createVoiceBackend } from './voice/backend.ts';
import type { VoiceBackend } from './voice/ports.ts';

const REDIS_START_WAIT_MS = 1_000;

export type WorkerConfig = Config<typeof WORKER_SETTINGS>;

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
  const parts = await build(config, spec, shared);
  const { host, server, backend, archiving, stores, health } = parts;
  await backend.ready();
  const ports = await server.listen();
  parts.listensOn(ports.internalPort);
  health.freezeBaseline();
  archiving.start();
  parts.spooling.start();
  parts.feeds.start();
  parts.pressure.start();
  parts.systemMetrics?.start();
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
      await parts.systemMetrics?.stop();
      await archiving.stop();
      await parts.spooling.stop();
      await parts.feeds.stop();
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
  spooling: Spooling;
  feeds: Feeds;
  stores: Stores;
  health: WorkerHealth;
  handOffs: HandOffClient;
  pressure: RedisPressure;
  systemMetrics: SystemMetrics | undefined;
  /** The internal listener's port is known: other workers reach this one there. */
  listensOn(internalPort: number): void;
}

/** Makes the parts and joins them; nothing listens yet. */
async function build(config: WorkerConfig, spec: PoolSpec, shared: Process): Promise<Parts> {
  const pool = { namespace: config.namespace, pool: config.pool };
  const { clock, registry, log } = shared;
  const health = createWorkerHealth({ registry, clock, configuredLimitBytes: spec.worker.memoryLimitMiB * 2 ** 20 });
  const credential = createCredential(process.env.AZURE_AUTHORITY_HOST);
  warmCredential(credential, log);
  const stores = await openStores({
    ...{ config, process: shared, spec, pool, credential },
    mayCachePhrases: () => pressure.level === 'none',
  });
  const pressure: RedisPressure = new RedisPressure({
    ...{ client: stores.patientRedis, clock, log, registry },
    marks: () => spec.redis.shed,
  });
  const backend = openVoice(config, spec, shared, stores);
  const security = createSecurity({ config, registry, log, clock });
  const archiving = await openArchiving({ config, credential }, shared, stores, () => host);
  const feeds = await openFeeds({ config, credential, pool, clock, log, registry });
  const spooling = openSpooling(config, shared, stores);
  const handOffs = new HandOffClient(config.internalKeys);
  const acs = createAcsCalls({ endpoint: config.acsEndpoint, credential, registry });
  let endpoint = config.internalUrl ?? '';
  const host: WorkerCalls = new WorkerCalls({
    calls: { ...callParts({ config, spec, shared, stores, backend, security, archiving, spooling, feeds }), acs },
    leases: stores.leases,
    redis: stores.redis,
    handOffs,
    archive: archiving,
    view: workerView(health, archiving, {
      endpoint: () => endpoint,
      relayedSockets: () => server.relayedSockets(),
      redisFull: () => pressure.level === 'calls',
      spoolFull: () => !spooling.admits,
      text: config.statusText,
    }),
    refreshAfterMs: refreshPeriodMs(CALL_TTLS),
  });
  registerGauges(registry, gaugesOf(host, spec, archiving, shared.incarnation));
  const { redisUsesTls } = stores;
  const checked = { redis: stores.patientRedis, redisUsesTls, environment: spec.environment, health, clock };
  const healthProviders = createHealthProviders({ ...checked, sealingMode: config.sealingMode });
  const server = createServer({ config, host, security, registry, log, clock, healthProviders, health });
  const listensOn = (port: number) => {
    endpoint ||= `http://${config.bindAddress}:${port}`;
  };
  const systemMetrics = openSystemMetrics(config, shared, archiving, () => host.heartbeat());
  const figures = { health, pressure, systemMetrics };
  return { host, server, backend, archiving, spooling, feeds, stores, handOffs, ...figures, listensOn };
}

function openSystemMetrics(
  { systemMetricsSeconds, ...ref }: WorkerConfig,
  { clock, log, registry }: Process,
  { direct }: Archiving,
  heartbeat: () => HeartbeatRecord,
): SystemMetrics | undefined {
  if (direct === undefined || systemMetricsSeconds === 0) return undefined;
  const periodMs = systemMetricsSeconds * 1_000;
  return new SystemMetrics({
    ...{ archive: direct, heartbeat, pool: poolTag(ref), periodMs, clock, log, registry },
  });
}

function openArchiving(
  by: { config: WorkerConfig; credential: TokenCredential },
  shared: Process,
  stores: Stores,
  host: () => WorkerCalls,
): Promise<Archiving> {
  return createArchiving({
    ...by,
    ...shared,
    database: stores.database,
    sealing: stores.sealing,
    redis: stores.patientRedis,
    keys: stores.callKeys,
    store: stores.calls,
    leases: stores.leases,
    onArchived: (id, ids) => host().archived(id, ids),
    onQuarantined: (id, ids) => host().quarantined(id, ids),
    onMissing: (id) => host().missing(id),
  });
}

function openSpooling(config: WorkerConfig, shared: Process, stores: Stores): Spooling {
  return createSpooling({
    ...shared,
    parent: spoolParent(config),
    maxBytes: config.spoolMaxMib * 2 ** 20,
    codec: stores.sealing.codec,
    redis: stores.patientRedis,
    keys: stores.callKeys,
    leases: stores.leases,
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

/** A Redis that is away now must not keep a worker from serving: it says so in its status and joins when Redis is back. */
async function join(stores: Stores, host: WorkerCalls, log: Log): Promise<void> {
  const { redis, keys } = stores;
  try {
    await redis.ready(REDIS_START_WAIT_MS);
    await pinLayout(redis, keys);
  } catch (error) {
    const code = errorCode(error);
    if (!code.startsWith('ERR_REDIS_')) throw error;
    log.warn({ code }, 'Redis does not serve; starting without it');
  }
  redis.on('up', () => {
    pinLayout(redis, keys).catch((error: unknown) => log.error({ err: error }, 'the layout of the keys is not sure'));
    void host.recovery.redisIsBack();
  });
  await host.recovery.redisIsBack();
}

/** In one step, so that a reader never sees half of it. */
function writeReadyFile(path: string, ready: Record<string, unknown>): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(ready)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
