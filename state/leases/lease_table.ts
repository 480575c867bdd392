import type { PoolRef } from '../../contract/ids.ts';
import type { AffinityRecord, HeartbeatRecord, Lease } from '../../contract/records.ts';
import { type Random, systemRandom } from '../../platform/random.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type {
  DrainClaim,
  GrantOutcome,
  HeldLease,
  LeaseTable,
  PlacementExplanation,
  PlaceOutcome,
  RenewOutcome,
  UnsentCall,
} from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { check, decodeLease, type LeaseReply } from './codec.ts';
import { decodeExplanation, type ExplainReply } from './explanation.ts';
import { LeaseKeys } from './lease_keys.ts';
import { PoolRecords } from './pool_records.ts';
import { type LeaseScripts, leaseScripts } from './scripts/index.ts';
import { LEASE_TIMES, type LeaseTimes } from './times.ts';
import { WorkerRecords } from './worker_records.ts';

type PlaceRequest = Parameters<LeaseTable['place']>[0];
type AdoptRequest = Parameters<LeaseTable['adopt']>[0];
type GrantRequest = Parameters<LeaseTable['grant']>[0];
type LostReply = readonly [callRef: string, fence: string, worker: string];

type NewReply = readonly [
  kind: 'new',
  fence: string,
  worker: string,
  incarnation: string,
  endpoint: string,
  placed: string,
  ref?: string,
  expires?: string,
];
type PlaceReply =
  | readonly ['recovering' | 'full' | 'ended']
  | readonly ['again', ref: string, record: string, expires: string, endpoint: string]
  | NewReply;

type RenewReply = readonly [
  recovering: number,
  lost: readonly LostReply[],
  missing: readonly string[],
  unheld: readonly LeaseReply[],
  rings: readonly LeaseReply[],
  orphans: readonly LeaseReply[],
];

type GrantReply =
  | readonly ['recovering']
  | readonly ['full']
  | readonly ['moved', lease?: LeaseReply]
  | readonly ['granted', lease: LeaseReply];

export interface LeaseTableOptions {
  client: RedisClient;
  keys: RedisKeyManager;
  pool: PoolRef;
  times?: Partial<LeaseTimes>;
  random?: Random;
}

/** Excluded workers of one re-placement; more would mean that the whole pool does not answer. */
const MAX_EXCLUDED = 32;

/** The pool's lease table in Redis. Every method is one script; errors are those of the Redis client and ERR_LEASE_*. */
export class RedisLeaseTable implements LeaseTable {
  readonly times: Readonly<LeaseTimes>;
  readonly #client: RedisClient;
  readonly #keys: LeaseKeys;
  readonly #scripts: LeaseScripts;
  readonly #random: Random;
  readonly #workers: WorkerRecords;
  readonly #pool: PoolRecords;

  constructor(options: LeaseTableOptions) {
    this.times = { ...LEASE_TIMES, ...options.times };
    this.#client = options.client;
    this.#keys = new LeaseKeys(options.keys, options.pool);
    this.#scripts = leaseScripts(this.times);
    this.#random = options.random ?? systemRandom;
    const parts = { client: this.#client, keys: this.#keys, scripts: this.#scripts };
    this.#workers = new WorkerRecords(parts);
    this.#pool = new PoolRecords(parts);
  }

  async place(request: PlaceRequest): Promise<PlaceOutcome> {
    const { ring, newCallRef, replaces, exclude = [] } = request;
    const { place, placeFully } = this.#scripts;
    const strategy = request.strategy === 'Pack' ? 'P' : 'S';
    const args = [check.ringId(ring.ringId), check.ring(ring), check.callRef(newCallRef), strategy];
    if (!replaces && exclude.length === 0) {
      const reply = await this.#client.run<string | null>(place, this.#keys.of(place), args);
      if (reply !== null) {
        const [fence = '', worker = '', incarnation = '', endpoint = '', placed = ''] = reply.split(' ');
        return this.#placed(request, ['new', fence, worker, incarnation, endpoint, placed]);
      }
    }
    const replaced = replaces ? [check.callRef(replaces.callRef), check.fence(replaces.fence)] : ['', ''];
    const more = [...replaced, ...exclude.slice(-MAX_EXCLUDED).map(check.worker)];
    const keys = this.#keys.of(placeFully);
    return this.#placed(request, await this.#client.run<PlaceReply>(placeFully, keys, [...args, ...more]));
  }

  #placed({ ring, newCallRef }: PlaceRequest, reply: PlaceReply): PlaceOutcome {
    if (reply[0] === 'again') {
      const [, ref, record, expires, endpoint] = reply;
      return { kind: 'placed', lease: decodeLease([ref, record, expires]), endpoint, repeated: true };
    }
    if (reply[0] !== 'new') return { kind: reply[0] };
    this.#client.metrics.keyCreated('system');
    const [, fence, worker, incarnation, endpoint, placed, ref = newCallRef, expires] = reply;
    const placedAtMs = Number(placed);
    const lease: Lease = {
      callRef: ref,
      ringId: ring.ringId,
      worker,
      incarnation,
      fence: Number(fence),
      state: 'ringing',
      callConnectionId: undefined,
      ring,
      expiresAtMs: expires === undefined ? placedAtMs + this.times.ringingMs : Number(expires),
      placedAtMs,
    };
    return { kind: 'placed', lease, endpoint, repeated: false };
  }

  /** Call it every third of a lease also without a lease: it keeps the pool's epoch. */
  async renew(request: { worker: string; incarnation: string; held: readonly HeldLease[] }): Promise<RenewOutcome> {
    const { held } = request;
    const script = this.#scripts.renew;
    const args: (string | number)[] = [check.worker(request.worker), check.incarnation(request.incarnation)];
    args.push(Math.floor(this.#random.fraction() * 1e6));
    for (const lease of held) args.push(check.callRef(lease.callRef), check.fence(lease.fence), connectionText(lease));
    const reply = await this.#client.run<RenewReply>(script, this.#keys.of(script), args);
    const [recovering, lostReplies, missing, unheld, strandedRings, orphans] = reply;
    const lost = lostReplies.map(decodeLost);
    const rewritten: string[] = [];
    if (missing.length > 0) {
      // The records travel only now: sending every ring with every renewal would be most of a worker's traffic.
      const wanted = new Set(missing);
      const again = held.filter((lease) => wanted.has(lease.callRef));
      const refused = (await this.#reassert(request, again, 'renew')).lost;
      for (const lease of refused) wanted.delete(lease.callRef);
      lost.push(...refused);
      rewritten.push(...wanted);
    }
    const gone = new Set(lost.map((lease) => lease.callRef));
    return {
      renewed: held.map((lease) => lease.callRef).filter((callRef) => !gone.has(callRef)),
      rewritten,
      lost,
      unheld: unheld.map(decodeLease),
      strandedRings: strandedRings.map(decodeLease),
      orphans: orphans.map(decodeLease),
      recovering: recovering === 1,
    };
  }

  async adopt(request: AdoptRequest): Promise<Awaited<ReturnType<LeaseTable['adopt']>>> {
    const { lost, fence } = await this.#reassert(request, [request.lease], 'adopt');
    return lost.length === 0 ? { kind: 'adopted', fence } : { kind: 'taken' };
  }

  async owns(request: { callRef: string; fence: number; incarnation: string }): Promise<boolean> {
    const script = this.#scripts.owns;
    return (await this.#client.run<number>(script, this.#keys.of(script), ownerArguments(request))) === 1;
  }

  answered(request: {
    callRef: string;
    fence: number;
    incarnation: string;
    callConnectionId: string;
  }): Promise<'written' | 'fenced' | 'missing'> {
    const script = this.#scripts.answered;
    const args = [...ownerArguments(request), check.connection(request.callConnectionId)];
    return this.#client.run(script, this.#keys.of(script), args);
  }

  async grant(request: GrantRequest): Promise<GrantOutcome> {
    const { seen, taker } = request;
    const script = this.#scripts.grant;
    const reply = await this.#client.run<GrantReply>(script, this.#keys.of(script), [
      ...ownerArguments({ callRef: request.callRef, ...seen }),
      check.worker(taker.worker),
      check.incarnation(taker.incarnation),
      check.whole('hardSlotLimit', taker.hardSlotLimit),
      check.fence(request.fenceFloor ?? 0),
    ]);
    if (reply[0] === 'granted') return { kind: 'granted', lease: decodeLease(reply[1]) };
    if (reply[0] === 'moved') return { kind: 'moved', lease: reply[1] && decodeLease(reply[1]) };
    return { kind: reply[0] };
  }

  async release(request: { callRef: string; fence: number; incarnation: string }): Promise<void> {
    const script = this.#scripts.release;
    await this.#client.run(script, this.#keys.of(script), ownerArguments(request));
  }

  async find(callRef: string): Promise<Lease | undefined> {
    const script = this.#scripts.find;
    const reply = await this.#client.run<LeaseReply | null>(script, this.#keys.of(script), [check.callRef(callRef)]);
    return reply ? decodeLease(reply) : undefined;
  }

  beat(heartbeat: HeartbeatRecord) {
    return this.#workers.beat(heartbeat);
  }
  heartbeat(worker: string): Promise<HeartbeatRecord | undefined> {
    return this.#workers.heartbeat(worker);
  }
  async heartbeatAgeMs(worker: string): Promise<number | undefined> {
    const leftMs = await this.#workers.heartbeatLeftMs(worker);
    return leftMs === undefined ? undefined : Math.max(0, this.times.heartbeatMs - leftMs);
  }
  heartbeats(): Promise<HeartbeatRecord[]> {
    return this.#workers.heartbeats();
  }
  vitals(workers: readonly string[]) {
    return this.#workers.vitals(workers);
  }
  park(worker: string, callRef: string, body: string): Promise<void> {
    return this.#workers.park(worker, callRef, body);
  }
  writeAffinity(record: AffinityRecord): Promise<'written' | 'fenced'> {
    return this.#workers.writeAffinity(record);
  }
  affinity(worker: string): Promise<AffinityRecord | undefined> {
    return this.#workers.affinity(worker);
  }
  confirmRecovery(controllerFence: number): Promise<void> {
    return this.#pool.confirmRecovery(controllerFence);
  }
  controllerFence(): Promise<number> {
    return this.#pool.controllerFence();
  }
  summary() {
    return this.#pool.summary();
  }
  async explainPlacement(strategy: 'Spread' | 'Pack'): Promise<PlacementExplanation> {
    const script = this.#scripts.explain;
    const reply = await this.#client.run<ExplainReply>(script, this.#keys.of(script), []);
    return decodeExplanation(reply, strategy, this.times.heartbeatMs);
  }
  unsent(limit: number, offset = 0): Promise<UnsentCall[]> {
    return this.#pool.unsent(limit, offset);
  }
  enterUnsent(callRef: string, callConnectionId: string): Promise<void> {
    return this.#pool.enterUnsent(callRef, callConnectionId);
  }
  raiseFenceFloor(floor: number): Promise<number> {
    return this.#pool.raiseFenceFloor(floor);
  }
  markSent(callRef: string): Promise<void> {
    return this.#pool.markSent(callRef);
  }
  claimDrain(callRef: string, worker: string, incarnation: string, leaseMs: number): Promise<DrainClaim> {
    return this.#pool.claimDrain(callRef, worker, incarnation, leaseMs);
  }

  async #reassert(
    owner: { worker: string; incarnation: string },
    held: readonly HeldLease[],
    purpose: 'adopt' | 'renew',
  ): Promise<{ lost: RenewOutcome['lost']; fence: number }> {
    const script = this.#scripts.reassert;
    const args: (string | number)[] = [check.worker(owner.worker), check.incarnation(owner.incarnation), purpose];
    for (const lease of held) {
      args.push(check.callRef(lease.callRef), check.fence(lease.fence), connectionText(lease));
      args.push(check.whole('placedAtMs', lease.placedAtMs), check.ringId(lease.ring.ringId), check.ring(lease.ring));
    }
    const [lost, fence] = await this.#client.run<readonly [readonly LostReply[], string]>(
      script,
      this.#keys.of(script),
      args,
    );
    this.#client.metrics.keyCreated('system', held.length - lost.length);
    return { lost: lost.map(decodeLost), fence: Number(fence) };
  }
}

function ownerArguments(owner: { callRef: string; fence: number; incarnation: string }): (string | number)[] {
  return [check.callRef(owner.callRef), check.fence(owner.fence), check.incarnation(owner.incarnation)];
}

function connectionText(lease: HeldLease): string {
  return lease.callConnectionId === undefined ? '' : check.connection(lease.callConnectionId);
}

function decodeLost([callRef, fence, worker]: LostReply): RenewOutcome['lost'][number] {
  return { callRef, fence: Number(fence), worker };
}
