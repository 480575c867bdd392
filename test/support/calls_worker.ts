import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ringId } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import { parsePool } from '../../contract/pool.ts';
import type { RingRecord } from '../../contract/records.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { createBlindIndex } from '../../security/sealing/blind_index.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS, type CallTtls } from '../../state/calls/ttls.ts';
import { plainCodec } from '../../state/envelope.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import type { LeaseTimes } from '../../state/leases/times.ts';
import { Profiles } from '../../state/profiles/profiles.ts';
import { RedisClient } from '../../state/redis/client.ts';
import type { AcsCalls, AnswerOutcome } from '../../worker/acs/client.ts';
import { HandOffClient } from '../../worker/calls/hand_off.ts';
import { WorkerCalls } from '../../worker/calls/host.ts';
import { createCallMetrics } from '../../worker/calls/metrics.ts';
import { CallRecord } from '../../worker/calls/record.ts';
import type { CallFeeds } from '../../worker/feeds.ts';
import { MediaMetrics } from '../../worker/media/metrics.ts';
import { Pacer } from '../../worker/media/pacer.ts';
import type { MediaSocket } from '../../worker/media/ports.ts';
import { mediaSettings } from '../../worker/media/settings.ts';
import { createMediaStream } from '../../worker/media/stream.ts';
import { createSpooling } from '../../worker/spooling.ts';
import type { VoiceBackend, VoiceListener, VoiceSessionOptions } from '../../worker/voice/ports.ts';

/** Nobody listens. */
const SILENT_FEEDS: CallFeeds = {
  started: () => undefined,
  takenOver: () => undefined,
  turn: () => undefined,
  bargeIn: () => undefined,
  ended: () => undefined,
};

/** ACS as seen through the port: one answer per ring, whoever gives it. Shared by the workers of one test. */
export class AcsFarEnd implements AcsCalls {
  readonly answers: { callRef: string; callConnectionId: string }[] = [];
  readonly rejected: string[] = [];
  readonly redirected: string[] = [];
  readonly hungUp: string[] = [];
  readonly transfers: string[] = [];
  readonly mediaAsked: string[] = [];
  readonly #answered = new Map<string, string>();

  answer(request: { incomingCallContext: string; callRef: string }): Promise<AnswerOutcome> {
    if (this.#answered.has(request.incomingCallContext)) return Promise.resolve({ kind: 'alreadyAnswered' });
    const callConnectionId = `connection-${this.#answered.size}-${request.callRef.slice(0, 6)}`;
    this.#answered.set(request.incomingCallContext, callConnectionId);
    this.answers.push({ callRef: request.callRef, callConnectionId });
    return Promise.resolve({
      kind: 'answered',
      callConnectionId,
      serverCallId: 'server',
      correlationId: 'correlation',
    });
  }

  reject(context: string): Promise<void> {
    this.rejected.push(context);
    return Promise.resolve();
  }

  redirect(context: string, target: string): Promise<void> {
    this.redirected.push(`${context}>${target}`);
    return Promise.resolve();
  }

  hangUp(id: string): Promise<void> {
    this.hungUp.push(id);
    return Promise.resolve();
  }

  transfer(id: string): Promise<void> {
    this.transfers.push(id);
    return Promise.resolve();
  }

  startMediaStreaming(id: string): Promise<void> {
    this.mediaAsked.push(id);
    return Promise.resolve();
  }
}

/** A voice backend that says what the test tells it to: each caller turn gets one answer. */
export class ScriptedVoice implements VoiceBackend {
  readonly name = 'scripted';
  readonly turnTaking = 'backend';
  readonly sessions = new Map<string, { listener: VoiceListener; turns: number; resumed: boolean }>();

  ready(): Promise<void> {
    return Promise.resolve();
  }

  open({ callRef, listener, resume }: VoiceSessionOptions) {
    const session = {
      listener,
      turns: (resume?.dialogue as { turns?: number } | null)?.turns ?? 0,
      resumed: resume !== undefined,
    };
    this.sessions.set(callRef, session);
    return {
      start: () => undefined,
      hear: () => undefined,
      dtmf: () => undefined,
      interrupted: () => undefined,
      snapshot: () => ({ turns: session.turns }),
      announce: () => Promise.resolve(),
      close: () => void this.sessions.delete(callRef),
    };
  }

  /** One turn of both sides; false when this worker does not serve the call. */
  turn(callRef: string, text: string): boolean {
    const session = this.sessions.get(callRef);
    if (!session) return false;
    session.turns += 1;
    session.listener.onCallerTurn({ text, source: 'speech' });
    const answerId = `answer-${session.turns}`;
    session.listener.onAnswerStarted({ answerId, text: `re: ${text}` });
    session.listener.onAnswerEnded({ answerId, text: `re: ${text}` });
    return true;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function poolSpec(changes: (spec: PoolSpec) => void = () => undefined): PoolSpec {
  const { spec } = parsePool(
    'apiVersion: rtvoice.dev/v1alpha1\nkind: VoiceWorkerPool\nmetadata: {name: desk}\nspec: {environment: test}\n',
  );
  changes(spec);
  return spec;
}

export interface CallsWorker extends AsyncDisposable {
  readonly worker: string;
  readonly host: WorkerCalls;
  readonly leases: RedisLeaseTable;
  readonly store: RedisCallStore;
  readonly redis: RedisClient;
  readonly registry: Registry;
  readonly voice: ScriptedVoice;
}

const POOL = { namespace: 'local', pool: 'desk' };
let workers = 0;

/** The calls of one worker on a real Redis, without listeners. Its affinity record is written as a controller would. */
export async function startCallsWorker(options: {
  redisUrl: string;
  acs: AcsFarEnd;
  spec?: PoolSpec;
  times?: Partial<LeaseTimes>;
  /** How long a call's records live without being refreshed. */
  ttls?: Partial<CallTtls>;
  refreshAfterMs?: number;
  worker?: string;
  incarnation?: string;
}): Promise<CallsWorker> {
  const worker = options.worker ?? `desk-${(workers++).toString(36).padStart(5, 'w')}`;
  const incarnation = options.incarnation ?? `inc-${worker}`;
  const spec = options.spec ?? poolSpec();
  const parts = await openParts(options, { worker, incarnation, spec });
  const { host, leases } = parts;
  await leases.writeAffinity({
    v: 1,
    worker,
    state: 'admitting',
    endpoint: 'http://127.0.0.1:9',
    slots: spec.slotsPerWorker,
    revision: 'r',
    controllerFence: 1,
  });
  await leases.confirmRecovery(1);
  await host.recovery.beat();
  await host.recovery.renew();
  return {
    worker,
    ...parts,
    async [Symbol.asyncDispose]() {
      host.close();
      for (const call of host.registry.live()) call.superseded();
      await parts.handOffs.close();
      await parts.spooling.stop();
      await parts.redis.close();
      await rm(parts.spoolParent, { recursive: true, force: true });
    },
  };
}

async function openParts(
  options: Pick<Parameters<typeof startCallsWorker>[0], 'redisUrl' | 'acs' | 'times' | 'ttls' | 'refreshAfterMs'>,
  who: { worker: string; incarnation: string; spec: PoolSpec },
) {
  const registry = createRegistry({ processMetrics: false });
  const clock = systemClock;
  const log = silentLog;
  const { worker, incarnation, spec } = who;
  const redis = new RedisClient({ url: options.redisUrl, role: 'fastFail', clock, log, registry });
  await redis.ready();
  const keys = new RedisKeyManager({ environment: 'test' });
  const leases = new RedisLeaseTable({
    client: redis,
    keys,
    pool: POOL,
    ...(options.times ? { times: options.times } : {}),
  });
  const store = new RedisCallStore({ redis, keys: callKeys(keys), ttls: { ...CALL_TTLS, ...options.ttls } });
  const random = seededRandom(workers * 7919);
  const spoolParent = await mkdtemp(join(tmpdir(), 'rtvoice-spool-'));
  const spooling = createSpooling({
    ...{ parent: spoolParent, maxBytes: 2 ** 20, incarnation, codec: plainCodec, redis, keys: callKeys(keys), leases },
    ...{ clock, random, log, registry },
  });
  const conversation = { store, onStored: spooling.settle };
  const blindIndex = createBlindIndex(['test-caller-key']);
  const profiles = new Profiles({ redis, keys, source: undefined, codec: plainCodec, clock, log, registry });
  const voice = new ScriptedVoice();
  const metrics = new MediaMetrics(registry);
  const pacer = new Pacer({ clock, metrics, log });
  const settings = mediaSettings({ sampleRateHertz: 16_000, turnDetection: 'off' });
  const handOffs = new HandOffClient(['k'.repeat(16)]);
  const host = new WorkerCalls({
    calls: {
      pool: POOL,
      worker,
      incarnation,
      spec,
      clock,
      random,
      log,
      acs: options.acs,
      backend: voice,
      metrics: createCallMetrics(registry),
      feeds: SILENT_FEEDS,
      disconnectGraceMs: 500,
      createMedia: (listener) => createMediaStream({ listener, pacer, settings, metrics, clock }),
      openRecord: (call) =>
        new CallRecord({ conversation, profiles, spool: spooling, blindIndex, clock, worker }, call),
      urls: (callRef) => ({ callbackUrl: `http://test/${callRef}/events`, transportUrl: `ws://test/${callRef}/media` }),
    },
    leases,
    redis,
    handOffs,
    view: {
      endpoint: () => 'http://127.0.0.1:9',
      memoryBytes: () => 1,
      memoryBaselineBytes: () => 1,
      eventLoopLagMs: () => 0,
      relayedSockets: () => 0,
      unsentRecords: () => 0,
      redisFull: () => false,
      spoolFull: () => !spooling.admits,
      statusText: true,
    },
    archive: { track: () => undefined, untrack: () => undefined, holds: () => false },
    refreshAfterMs: options.refreshAfterMs ?? 600_000,
  });
  return { host, leases, store, redis, registry, voice, handOffs, spooling, spoolParent };
}

let rings = 0;
export function ring(changes: Partial<RingRecord> = {}): RingRecord {
  const n = rings++;
  const correlationId = `correlation-${n}`;
  const incomingCallContext = `context-${n}`;
  return {
    v: 1,
    ringId: ringId(correlationId, incomingCallContext),
    correlationId,
    incomingCallContext,
    from: '4:+15550100',
    to: '4:+15550199',
    serverCallId: `server-${n}`,
    ...changes,
  };
}

/** The near end of a media socket: keeps what was sent, and whether we ended it. */
export class SocketEnd implements MediaSocket {
  readonly sent: string[] = [];
  ended: { code: number; reason: string } | undefined;

  send(message: Uint8Array | string): number {
    this.sent.push(typeof message === 'string' ? message : Buffer.from(message).toString('latin1'));
    return 1;
  }

  bufferedBytes(): number {
    return 0;
  }

  end(code: number, reason: string): void {
    this.ended ??= { code, reason };
  }
}

/** Resolves when the condition holds; polls, since stores tell nobody that they were written. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
