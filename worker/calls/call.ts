import type { CallEndReason, MediaCloseReason } from '../../contract/reasons.ts';
import type { Lease, RingRecord } from '../../contract/records.ts';
import type { Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { connectionIdOf, factOf, MEDIA_TROUBLE } from '../acs/events.ts';
import type { MediaSocket, MediaStream } from '../media/ports.ts';
import type { CallEvent, MediaEnd } from '../ports.ts';
import type { CallDeps } from './deps.ts';
import {
  awaitsTransferOutcome,
  type CallFacts,
  type CallState,
  callState,
  endReason,
  type Fact,
  learn,
  NEW_CALL,
} from './facts.ts';
import { MediaRecovery } from './media_recovery.ts';
import { RecentEvents } from './recent_events.ts';
import type { CallRecord } from './record.ts';
import { Turns } from './turns.ts';

/** CallDisconnected can overtake the outcome of a transfer; its event is waited for this long. */
const TRANSFER_OUTCOME_MS = 2_000;

/** One call that this worker owns: what is known of it, its media, its conversation, and the moments that end it. */
export class Call {
  readonly ref: string;
  readonly ring: RingRecord;
  readonly incarnation: string;
  readonly createdAtMs: number;
  readonly record: CallRecord;
  readonly log: Log;
  fence: number;
  /** False for a call taken while Redis was away, until its lease is written. */
  leased: boolean;
  readonly #deps: CallDeps;
  readonly #events = new RecentEvents();
  readonly #turns: Turns;
  readonly #mediaRecovery: MediaRecovery;
  readonly #timers: Timer[] = [];
  readonly #takenOver: boolean;
  #facts: CallFacts = NEW_CALL;
  #callConnectionId: string | undefined;
  #media: MediaStream | undefined;
  #voiceHeld = false;
  #mediaReason: MediaCloseReason = 'acsClose';
  #over = false;
  #lastHeardMs: number;

  constructor(
    deps: CallDeps,
    lease: Pick<Lease, 'callRef' | 'fence' | 'ring' | 'callConnectionId'>,
    options: { leased: boolean; takenOver?: boolean },
  ) {
    this.#deps = deps;
    this.ref = lease.callRef;
    this.ring = lease.ring;
    this.fence = lease.fence;
    this.incarnation = deps.incarnation;
    this.leased = options.leased;
    this.#takenOver = options.takenOver ?? false;
    this.#voiceHeld = this.#takenOver;
    this.createdAtMs = deps.clock.monotonicMs();
    this.#lastHeardMs = this.createdAtMs;
    this.log = deps.log.child({ callRef: lease.callRef });
    this.record = deps.openRecord(this);
    this.#turns = new Turns(deps, this);
    this.#mediaRecovery = new MediaRecovery(deps, this);
    if (lease.callConnectionId) this.connectedAs(lease.callConnectionId);
    const { maxDurationSeconds, idleTimeoutSeconds } = deps.spec.call;
    this.#timers.push(deps.clock.after(maxDurationSeconds * 1000, () => this.end('maxDuration')));
    if (idleTimeoutSeconds > 0)
      this.#timers.push(deps.clock.every(1_000, () => this.#checkIdle(idleTimeoutSeconds * 1000)));
  }

  get facts(): CallFacts {
    return this.#facts;
  }

  get state(): CallState {
    return callState(this.#facts);
  }

  get callConnectionId(): string | undefined {
    return this.#callConnectionId;
  }

  get media(): MediaStream | undefined {
    return this.#media;
  }

  get turns(): Turns {
    return this.#turns;
  }

  /** True once the call has ended or another owner has it: nothing is written any more. */
  get over(): boolean {
    return this.#over;
  }

  recentEventIds(): string[] {
    return this.#events.ids();
  }

  /** The caller or the worker spoke, or a key was pressed. */
  heard(): void {
    this.#lastHeardMs = this.#deps.clock.monotonicMs();
  }

  /** The callConnectionId comes with the answer, the first callback or the first upgrade, whichever is first. */
  connectedAs(callConnectionId: string): void {
    if (this.#callConnectionId !== undefined || callConnectionId === '') return;
    this.#callConnectionId = callConnectionId;
    this.#deps.onConnectionId(this, callConnectionId);
    if (this.#takenOver) this.#deps.feeds.takenOver(this);
    else this.#deps.feeds.started(this);
  }

  /** A call that was taken over and is not loaded yet: media is taken, but nobody speaks and nothing is written. */
  get holdsVoice(): boolean {
    return this.#voiceHeld;
  }

  /** Goes on with what an earlier owner stored, if anything. */
  resumed(): void {
    const stored = this.record.storedFacts();
    const { mediaUp, mediaSeen } = this.#facts;
    if (stored.facts) this.#facts = { ...stored.facts, mediaUp, mediaSeen: stored.facts.mediaSeen || mediaSeen };
    this.#events.add(stored.recentEventIds);
    this.#voiceHeld = false;
    if (this.#callConnectionId !== undefined) {
      this.record.open(this.#callConnectionId);
      this.learn({ kind: 'answerAccepted' });
      this.record.checkpoint();
      if (!this.#facts.mediaUp && this.state !== 'ended') this.#mediaRecovery.lost();
    }
    if (this.#media?.attached && !this.#over) this.#turns.start(this.#media);
    // What was asked before the old owner died must still come about.
    if (this.#facts.endRequested && !this.#over) void this.#hangUp();
  }

  apply(event: CallEvent): 'applied' | 'duplicate' | 'stale' | 'ignored' {
    if (this.#over) return 'stale';
    if (!this.#events.remember(`${event.source}#${event.id}`)) return 'duplicate';
    const id = connectionIdOf(event);
    if (id) this.connectedAs(id);
    if (MEDIA_TROUBLE.has(event.type) && !this.#facts.mediaUp) this.#mediaRecovery.hurry();
    const fact = factOf(event);
    if (!fact) return 'ignored';
    this.learn(fact);
    return 'applied';
  }

  learn(fact: Fact): void {
    const before = this.state;
    this.#facts = learn(this.#facts, fact);
    if (this.#facts.answer === 'accepted' && !this.#facts.mediaSeen && !this.#over) this.#mediaRecovery.expect();
    if (this.state !== before) this.log.debug({ from: before, to: this.state }, 'call state');
    this.#afterFact();
  }

  /** A media socket for this call; undefined when the call is over. A second one replaces the first. */
  openMedia(socket: MediaSocket, headers: { callConnectionId: string }): MediaEnd | undefined {
    if (this.#over) return undefined;
    this.connectedAs(headers.callConnectionId);
    this.#media ??= this.#deps.createMedia(this.#turns.mediaListener);
    const media = this.#media;
    media.attach(socket);
    this.#mediaRecovery.found();
    this.learn({ kind: 'mediaOpened' });
    if (!this.#voiceHeld) this.#turns.start(media);
    return {
      receive: (message) => media.receive(message),
      closed: () => this.#mediaClosed(media, socket),
    };
  }

  /** Ends the call for a reason of ours: ACS is asked, and CallDisconnected is waited for a little. */
  end(reason: CallEndReason): void {
    if (this.#over || this.#facts.endRequested) return;
    this.learn({ kind: 'endRequested', reason });
    this.#mediaReason = reason === 'drainDeadline' ? 'drainDeadline' : reason === 'idle' ? 'idle' : 'hangUp';
    void this.#hangUp();
  }

  /** Nobody will dial by itself: ask ACS for media now. */
  askForMedia(): void {
    if (!this.#over && !this.#facts.mediaUp) this.#mediaRecovery.hurry();
  }

  async transfer(target: string): Promise<void> {
    const id = this.#callConnectionId;
    if (this.#over || id === undefined) return;
    this.learn({ kind: 'transferRequested' });
    try {
      await this.#deps.acs.transfer(id, target);
    } catch (error) {
      this.log.warn({ code: errorCode(error) }, 'the transfer was refused');
      this.learn({ kind: 'transferFailed' });
    }
  }

  /** Another owner has the call: stop writing, close the socket, leave ACS alone. */
  superseded(): void {
    if (this.#over) return;
    this.#close('superseded');
    this.#deps.onSuperseded(this);
  }

  #mediaClosed(media: MediaStream, socket: MediaSocket): void {
    media.detach(socket);
    if (this.#over || media.attached) return;
    this.learn({ kind: 'mediaClosed' });
    if (this.state === 'reconnecting') this.#mediaRecovery.lost();
  }

  #checkIdle(limitMs: number): void {
    if (this.#facts.mediaUp && this.#deps.clock.monotonicMs() - this.#lastHeardMs > limitMs) this.end('idle');
  }

  async #hangUp(): Promise<void> {
    const id = this.#callConnectionId;
    if (id === undefined) return this.learn({ kind: 'disconnected' });
    try {
      await this.#deps.acs.hangUp(id);
    } catch (error) {
      this.log.warn({ code: errorCode(error) }, 'hang-up failed; the call is closed here all the same');
    }
    // ACS says so by CallDisconnected; should that event never come, the call must not stay.
    this.#timers.push(this.#deps.clock.after(this.#deps.disconnectGraceMs, () => this.learn({ kind: 'disconnected' })));
  }

  #afterFact(): void {
    if (this.#over || this.state !== 'ended') return;
    if (awaitsTransferOutcome(this.#facts)) {
      this.#timers.push(this.#deps.clock.after(TRANSFER_OUTCOME_MS, () => this.#finish()));
      return;
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    const reason = endReason(this.#facts);
    this.#turns.flush();
    this.#close(this.#mediaReason);
    this.#deps.feeds.ended(this, reason);
    this.#deps.onEnded(this, reason);
  }

  #close(reason: MediaCloseReason): void {
    this.#over = true;
    for (const timer of this.#timers) timer.cancel();
    this.#mediaRecovery.cancel();
    this.#turns.close();
    this.#media?.close(reason);
  }
}
