import { poolTag } from '../contract/ids.ts';
import type { PoolSpec } from '../contract/pool.ts';
import { callUrls } from '../contract/urls.ts';
import type { Security } from '../security/security.ts';
import { ConversationMetrics } from '../state/calls/conversation_metrics.ts';
import { Profiles } from '../state/profiles/profiles.ts';
import type { Archiving } from './archiving.ts';
import type { WorkerConfig } from './assemble.ts';
import type { registerGauges } from './calls/gauges.ts';
import type { HostOptions, WorkerCalls } from './calls/host.ts';
import { createCallMetrics } from './calls/metrics.ts';
import { CallRecord } from './calls/record.ts';
import type { CallFeeds } from './feeds.ts';
import type { WorkerHealth } from './health.ts';
import { createMediaFactory } from './media/factory.ts';
import type { Process } from './process.ts';
import type { Spooling } from './spooling.ts';
import type { Stores } from './stores.ts';
import type { VoiceBackend } from './voice/ports.ts';

/** A token outlives the longest call by this, so that a late callback still gets in. */
const TOKEN_GRACE_MS = 10 * 60_000;
const DISCONNECT_GRACE_MS = 5_000;

interface CallParts {
  config: WorkerConfig;
  spec: PoolSpec;
  shared: Process;
  stores: Stores;
  backend: VoiceBackend;
  security: Security;
  archiving: Archiving;
  spooling: Spooling;
  feeds: CallFeeds;
}

/** What each call needs of the worker, save ACS itself. */
export function callParts({
  config,
  spec,
  shared,
  stores,
  backend,
  security,
  archiving,
  spooling,
  feeds,
}: CallParts): Omit<HostOptions['calls'], 'acs'> {
  const { clock, random, log, registry, worker, incarnation } = shared;
  const pool = { namespace: config.namespace, pool: config.pool };
  const { blindIndex } = stores;
  const profiles = openProfiles(shared, stores, archiving);
  const conversation = {
    store: stores.calls,
    metrics: new ConversationMetrics(registry),
    onStored: (callConnectionId: string, ids: readonly string[]) => {
      archiving.stored(callConnectionId, ids);
      spooling.settle(callConnectionId, ids);
    },
  };
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
    feeds,
    disconnectGraceMs: DISCONNECT_GRACE_MS,
    createMedia: createMediaFactory({
      process: shared,
      sampleRateHertz: spec.call.sampleRateHertz,
      turnTaking: backend.turnTaking,
    }),
    openRecord: (call) => new CallRecord({ conversation, profiles, spool: spooling, blindIndex, clock, worker }, call),
    urls: (callRef) => {
      const expiresAtMs = clock.wallMs() + spec.call.maxDurationSeconds * 1000 + TOKEN_GRACE_MS;
      const token = security.callTokens.issue({ tag: poolTag(pool), callRef, expiresAtMs });
      return callUrls({ publicUrl: config.publicUrl, ref: pool, worker, callRef, token });
    },
  };
}

function openProfiles({ clock, log, registry }: Process, stores: Stores, archiving: Archiving): Profiles {
  const { redis, keys, sealing } = stores;
  return new Profiles({ redis, keys, codec: sealing.codec, source: archiving.profiles, clock, log, registry });
}

export function workerView(
  health: WorkerHealth,
  archiving: Archiving,
  more: {
    endpoint: () => string;
    relayedSockets: () => number;
    redisFull: () => boolean;
    spoolFull: () => boolean;
    text: boolean;
  },
): HostOptions['view'] {
  return {
    endpoint: more.endpoint,
    memoryBytes: () => health.memory().rssBytes,
    memoryBaselineBytes: () => health.memory().baselineBytes,
    eventLoopLagMs: () => health.eventLoopLagMs(),
    relayedSockets: more.relayedSockets,
    unsentRecords: () => archiving.pending,
    redisFull: more.redisFull,
    spoolFull: more.spoolFull,
    statusText: more.text,
  };
}

export function gaugesOf(
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
