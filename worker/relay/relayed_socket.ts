import type { MediaCloseReason } from '../../contract/reasons.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { MediaSocket } from '../media/ports.ts';
import type { CallHost, MediaEnd } from '../ports.ts';
import { closeCode, type MediaHeaders, type MediaLeg, type MediaLegHandlers, openMediaLeg } from './media_leg.ts';
import { type OwnerSearch, searchOwner } from './owner_search.ts';
import type { RelayMetrics } from './relay_metrics.ts';

/** Where the client's messages go. */
type Target =
  /** The owner is being looked for; the client's messages are dropped, counted. */
  | { kind: 'none' }
  /** They pass to the owner unchanged. */
  | { kind: 'leg'; leg: MediaLeg; fence: number }
  /** This worker took the call over: the socket ends here. */
  | { kind: 'local'; end: MediaEnd }
  /** Either side has ended the socket. */
  | { kind: 'closed' };

export interface RelayedSocketDeps {
  host: CallHost;
  authorization: string;
  /** How long an owner may take to accept a socket. */
  ownerAnswerMs: number;
  clock: Clock;
  log: Log;
  metrics: RelayMetrics;
  /** Sockets that count as relayed: attached, and not served here. */
  live: Set<RelayedSocket>;
}

/** The first message says the audio format: a new owner needs it too. */
const MAX_FIRST_MESSAGE_BYTES = 4096;
const MAX_EARLY_BYTES = 64 * 1024;
/** A second break so soon after a move is a fault that moving does not mend. */
const MIN_BETWEEN_MOVES_MS = 1_000;
/** How the owner's process says that it is gone or going; every other code is the owner's word about this socket. */
const OWNER_GONE_CODES: readonly number[] = [1001, 1006, 1012];
const SUPERSEDED = 'superseded' satisfies MediaCloseReason;
/** Asks ACS to dial again. */
const OWNER_LOST = { code: 1013, reason: 'ownerLost' } as const;

/** The client's side of a relayed media socket, kept open while the owner behind it changes. */
export class RelayedSocket implements MediaEnd {
  readonly #deps: RelayedSocketDeps;
  readonly #callRef: string;
  readonly #headers: MediaHeaders;
  readonly #gone = new AbortController();
  #client: MediaSocket | undefined;
  #target: Target = { kind: 'none' };
  #first: Uint8Array | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #movedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RelayedSocketDeps, callRef: string, headers: MediaHeaders) {
    this.#deps = deps;
    this.#callRef = callRef;
    this.#headers = headers;
  }

  /** Looks for the owner and opens a leg to it. With `here` the call is this worker's own and no leg exists. */
  async connect(): Promise<OwnerSearch<MediaLeg>> {
    const { host, authorization, ownerAnswerMs: answerMs, clock, log } = this.#deps;
    const { signal } = this.#gone;
    const [callRef, headers, handlers] = [this.#callRef, this.#headers, this.#legHandlers()];
    const found = await searchOwner<MediaLeg>({
      host,
      callRef,
      cause: { kind: 'mediaUpgrade' },
      ask: (endpoint) =>
        openMediaLeg({ endpoint, callRef, authorization, headers, handlers, answerMs, signal, clock, log }),
    });
    if (found.kind !== 'served') return found;
    if (this.#target.kind === 'closed') found.value.close(1001, 'client gone');
    else this.#target = { kind: 'leg', leg: found.value, fence: found.lease.fence };
    return found;
  }

  /** The client's upgrade is complete. */
  attach(client: MediaSocket): void {
    this.#client = client;
    if (this.#isClosed()) {
      client.end(OWNER_LOST.code, OWNER_LOST.reason);
      return;
    }
    this.#deps.live.add(this);
    for (const message of this.#early) this.#toClient(message);
    this.#early = [];
  }

  receive(message: ArrayBuffer): void {
    const bytes = new Uint8Array(message);
    this.#first ??= bytes.byteLength <= MAX_FIRST_MESSAGE_BYTES ? bytes.slice() : new Uint8Array(0);
    if (this.#target.kind === 'local') {
      this.#target.end.receive(message);
      return;
    }
    const sent = this.#target.kind === 'leg' && this.#target.leg.send(bytes);
    if (!sent) this.#deps.metrics.dropped.inc({ direction: 'in' });
  }

  /** The client has gone, attached or not. */
  closed(code: number): void {
    const target = this.#target;
    this.#over();
    if (target.kind === 'leg') target.leg.close(code, 'client closed');
    if (target.kind === 'local') target.end.closed(code);
  }

  /** Ends both sides, when the process stops. */
  end(code: number, reason: string): void {
    this.closed(code);
    this.#client?.end(code, reason);
  }

  #legHandlers(): MediaLegHandlers {
    return {
      onMessage: (message) => this.#toClient(message),
      onClosed: (code, reason) => {
        if (this.#target.kind === 'closed') return;
        const fence = this.#target.kind === 'leg' ? this.#target.fence : 0;
        this.#target = { kind: 'none' };
        if (this.#client && OWNER_GONE_CODES.includes(code)) void this.#move(this.#client);
        else if (this.#client && reason === SUPERSEDED) void this.#follow(this.#client, fence, code);
        else this.#endClient(closeCode(code), reason);
      },
    };
  }

  /** The owner broke away: the client's socket stays open while another one, or this worker, takes its place. */
  async #move(client: MediaSocket): Promise<void> {
    const { host, clock, log } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#movedAtMs < MIN_BETWEEN_MOVES_MS) return this.#lose();
    this.#movedAtMs = nowMs;
    try {
      const found = await this.connect();
      if (this.#isClosed()) return;
      if (found.kind === 'served') {
        if (this.#first?.byteLength) found.value.send(this.#first);
        this.#deps.metrics.moves.inc({ result: 'leg' });
        return;
      }
      if (found.kind === 'unknown') {
        this.#deps.metrics.moves.inc({ result: 'ended' });
        this.#endClient(1000, 'call ended');
        return;
      }
      const end = found.kind === 'here' ? host.openMedia(this.#callRef, client, this.#headers) : undefined;
      if (!end) return this.#lose();
      this.#deps.live.delete(this);
      this.#target = { kind: 'local', end };
      if (this.#first?.byteLength) end.receive(copyOf(this.#first));
      this.#deps.metrics.moves.inc({ result: 'here' });
    } catch (error) {
      log.error({ err: error, callRef: this.#callRef }, 'moving a relayed media socket failed');
      this.#lose();
    }
  }

  /** Superseded by a newer socket: it is over. By a newer owner: this socket is as good for that one as it was for the old. */
  async #follow(client: MediaSocket, fence: number, code: number): Promise<void> {
    const location = await this.#deps.host.locate(this.#callRef).catch(() => undefined);
    if (this.#isClosed()) return;
    const newOwner = location?.kind === 'here' || (location?.kind === 'elsewhere' && location.lease.fence > fence);
    if (newOwner) await this.#move(client);
    else this.#endClient(closeCode(code), SUPERSEDED);
  }

  #lose(): void {
    this.#deps.metrics.moves.inc({ result: 'lost' });
    this.#endClient(OWNER_LOST.code, OWNER_LOST.reason);
  }

  #toClient(message: Buffer): void {
    if (this.#client) {
      if (this.#client.send(message) === 2) this.#deps.metrics.dropped.inc({ direction: 'out' });
      return;
    }
    this.#earlyBytes += message.byteLength;
    if (this.#earlyBytes <= MAX_EARLY_BYTES) this.#early.push(message);
    else this.#deps.metrics.dropped.inc({ direction: 'out' });
  }

  #endClient(code: number, reason: string): void {
    this.#over();
    this.#client?.end(code, reason);
  }

  #over(): void {
    this.#target = { kind: 'closed' };
    this.#gone.abort();
    this.#early = [];
    this.#deps.live.delete(this);
  }

  /** A method, since the compiler takes a field as unchanged across an await. */
  #isClosed(): boolean {
    return this.#target.kind === 'closed';
  }
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}
