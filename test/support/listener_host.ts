import { EventEmitter, once } from 'node:events';
import type { HandOff, Lease, RingRecord } from '../../contract/records.ts';
import type { MediaSocket } from '../../worker/media/ports.ts';
import type { CallEvent, CallHost, Location, MediaEnd, WorkerStatus } from '../../worker/ports.ts';

/** The pool's leases, shared by the hosts of one test as Redis shares them between workers. */
export class LeaseWorld {
  readonly leases = new Map<string, { lease: Lease; endpoint: string }>();
  available = true;

  own(callRef: string, worker: string, endpoint: string, fence = 1): void {
    this.leases.set(callRef, { lease: leaseOf(callRef, worker, fence), endpoint });
  }
}

export function leaseOf(callRef: string, worker: string, fence: number): Lease {
  const ring: RingRecord = {
    v: 1,
    ringId: 'r1',
    correlationId: 'c1',
    incomingCallContext: 'x',
    from: '',
    to: '',
    serverCallId: '',
  };
  return {
    callRef,
    ringId: 'r1',
    worker,
    incarnation: `${worker}-1`,
    fence,
    state: 'answered',
    callConnectionId: undefined,
    ring,
    expiresAtMs: 0,
    placedAtMs: 0,
  };
}

/** A small CallHost: places nothing, keeps what it was told, and takes calls over when allowed to. */
export class ListenerHost implements CallHost {
  readonly worker: string;
  endpoint = '';
  readonly world: LeaseWorld;
  readonly rings: RingRecord[] = [];
  readonly events: { callRef: string; event: CallEvent }[] = [];
  readonly takeovers: { lease: Lease; cause: Parameters<CallHost['takeOver']>[1] }[] = [];
  readonly handOffs: HandOff[] = [];
  readonly drains: Parameters<CallHost['drain']>[0][] = [];
  readonly media: TestMedia[] = [];
  readonly happened = new EventEmitter();
  ringOutcome: (ring: RingRecord) => Promise<'accepted' | 'unavailable'> = async () => 'accepted';
  takeOverOutcome: (lease: Lease) => 'here' | 'elsewhere' | 'parked' | 'refused' = (lease) => this.#takeIt(lease);

  constructor(worker: string, world: LeaseWorld) {
    this.worker = worker;
    this.world = world;
  }

  async ring(ring: RingRecord): Promise<'accepted' | 'unavailable'> {
    this.rings.push(ring);
    return this.ringOutcome(ring);
  }

  async handOff(handOff: HandOff): Promise<'accepted' | 'refused'> {
    this.handOffs.push(handOff);
    return handOff.lease.worker === this.worker ? 'accepted' : 'refused';
  }

  async locate(callRef: string): Promise<Location> {
    if (!this.world.available) return { kind: 'unavailable' };
    const entry = this.world.leases.get(callRef);
    if (!entry) return { kind: 'unknown' };
    return entry.lease.worker === this.worker ? { kind: 'here' } : { kind: 'elsewhere', ...entry };
  }

  async applyEvents(callRef: string, events: readonly CallEvent[]): Promise<void> {
    for (const event of events) this.events.push({ callRef, event });
    this.happened.emit('events');
  }

  openMedia(
    callRef: string,
    socket: MediaSocket,
    headers: { callConnectionId: string; correlationId: string },
  ): MediaEnd | undefined {
    if (!this.world.leases.has(callRef)) return undefined;
    const media = new TestMedia(callRef, socket, headers);
    this.media.push(media);
    this.happened.emit('media', media);
    return media;
  }

  async takeOver(
    lease: Lease,
    cause: Parameters<CallHost['takeOver']>[1],
  ): Promise<'here' | 'elsewhere' | 'parked' | 'refused'> {
    this.takeovers.push({ lease, cause });
    return this.takeOverOutcome(lease);
  }

  drain(request: Parameters<CallHost['drain']>[0]): void {
    this.drains.push(request);
  }

  status(): WorkerStatus {
    return {
      worker: this.worker,
      incarnation: `${this.worker}-1`,
      pool: 'local.front',
      state: 'serving',
      slots: 10,
      startedAtMs: 0,
      redis: { available: true, unavailableForMs: 0 },
      dirtyCalls: 0,
      unsentRecords: 0,
      relayedSockets: 0,
      eventLoopLagMs: 0,
      calls: [],
    };
  }

  /** The next media socket that is opened here. */
  async nextMedia(): Promise<TestMedia> {
    const [media] = (await once(this.happened, 'media', { signal: AbortSignal.timeout(10_000) })) as [TestMedia];
    return media;
  }

  #takeIt(lease: Lease): 'here' {
    this.world.own(lease.callRef, this.worker, this.endpoint, lease.fence + 1);
    return 'here';
  }
}

/** One accepted media socket: keeps what came, answers what the test says. */
export class TestMedia implements MediaEnd {
  readonly callRef: string;
  readonly socket: MediaSocket;
  readonly headers: { callConnectionId: string; correlationId: string };
  readonly received: string[] = [];
  readonly closes: number[] = [];
  readonly happened = new EventEmitter();

  constructor(callRef: string, socket: MediaSocket, headers: { callConnectionId: string; correlationId: string }) {
    this.callRef = callRef;
    this.socket = socket;
    this.headers = headers;
  }

  receive(message: ArrayBuffer): void {
    this.received.push(Buffer.from(message).toString('latin1'));
    this.happened.emit('change');
  }

  closed(code: number): void {
    this.closes.push(code);
    this.happened.emit('change');
  }

  /** Resolves as soon as `done` holds. */
  async until(done: (media: this) => boolean): Promise<void> {
    while (!done(this)) await once(this.happened, 'change', { signal: AbortSignal.timeout(10_000) });
  }
}
