import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { sleep, type Timer } from '../../platform/clock.ts';
import { type CallOutcome, type CallProgress, type CallRecord, newRecord } from '../caller/record.ts';
import type { CallerScript } from '../caller/script.ts';
import type { MediaRedial } from '../media/connection.ts';
import type { CallbackFaults } from './callbacks.ts';
import { type AnswerRequest, CallConnection } from './connection.ts';
import type { AcsDeps } from './deps.ts';
import { alreadyAnswered, notFound } from './errors.ts';
import type { EventSchema, GridEvent, Subscription } from './event_grid.ts';
import { type Identifier, identifierOf } from './identifiers.ts';

/** How one call is disturbed, beside the faults of the resource. */
export interface CallFaults extends Partial<CallbackFaults> {
  /** IncomingCall comes twice, at the same time. */
  duplicateRing?: boolean;
  /** IncomingCall comes so much later; the ring time runs meanwhile. */
  ringDelayMs?: number;
  mediaRedial?: MediaRedial;
  /** A transfer ends in CallTransferFailed, and the call goes on. */
  transferFails?: boolean;
}

export interface CallRequest {
  /** Webhook of the Event Grid subscription. */
  ringUrl: string;
  script: CallerScript;
  /** Phone number (`+1…`) or user (`8:acs:…`); a number of its own by default. */
  from?: string;
  to?: string;
  schema?: EventSchema;
  faults?: CallFaults;
  /** WAV file for what the caller hears. */
  recordTo?: string;
  /** A call that comes back keeps the id of the call it was. */
  correlationId?: string;
}

const CONTEXT_PADDING_BYTES = 900;
const MAX_KEPT_PROGRESS = 20_000;
let placed = 0;

/** One caller and all that happens to their call; emits `progress` ({@link CallProgress}). */
export class SimulatedCall extends EventEmitter<{ progress: [CallProgress] }> {
  readonly id = randomUUID();
  readonly request: CallRequest;
  readonly incomingCallContext: string;
  readonly serverCallId = Buffer.from(`https://conv.example/conv/${randomUUID()}`).toString('base64url');
  readonly from: Identifier;
  readonly to: Identifier;
  /** Live: it goes on changing until the call has ended, and counts late rings and callbacks after that. */
  readonly record: CallRecord;
  readonly done: Promise<CallRecord>;
  connection: CallConnection | undefined;
  readonly #deps: AcsDeps;
  readonly #placedMs: number;
  readonly #progress: CallProgress[] = [];
  readonly #event: GridEvent;
  #finish: (record: CallRecord) => void = () => undefined;
  #finished = false;
  #ringEnd: Timer | undefined;

  constructor(deps: AcsDeps, request: CallRequest) {
    super();
    this.setMaxListeners(0);
    placed += 1;
    this.#deps = deps;
    this.request = request;
    this.#placedMs = deps.clock.monotonicMs();
    this.from = identifierOf(request.from ?? `+1555${String(1_000_000 + (placed % 9_000_000))}`);
    this.to = identifierOf(request.to ?? '+15550100');
    this.record = newRecord(this.id, request.correlationId ?? randomUUID());
    this.incomingCallContext = newContext(this.record.correlationId);
    this.#event = this.#incomingCall();
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get callConnectionId(): string | undefined {
    return this.record.callConnectionId;
  }

  get outcome(): CallOutcome {
    return this.record.outcome;
  }

  /** Turns whose answer the caller has heard to its end. */
  get answeredTurns(): number {
    return this.record.turns.filter(({ answered }) => answered).length;
  }

  get ringStatuses(): number[] {
    return this.record.ringAttempts.map(({ status }) => status);
  }

  /** Milliseconds since the call was placed. */
  sincePlacedMs(): number {
    return this.#deps.clock.monotonicMs() - this.#placedMs;
  }

  /** Begins to ring. `deliver` is told the event when it is not to be delivered alone. */
  ring(deliver?: (event: GridEvent) => void): void {
    const { clock, timings } = this.#deps;
    this.#deps.ringing(this);
    this.#ringEnd = clock.after(timings.ringMs, () => this.#notAnswered('notAnswered'));
    if (deliver) {
      deliver(this.#event);
      return;
    }
    void this.#deliver();
    if (this.request.faults?.duplicateRing) void this.#deliver();
  }

  /** Notes an attempt to deliver the IncomingCall. */
  attempted(status: number): void {
    this.record.ringAttempts.push({ afterMs: Math.round(this.sincePlacedMs()), status });
    this.progress({ type: 'ringAttempt', status });
  }

  /** The same event once more, now, whatever became of the call; gives the status. */
  async ringAgain(): Promise<number> {
    const status = await this.#deps.grid.post(this.subscription, [this.#event]);
    this.attempted(status);
    return status;
  }

  get subscription(): Subscription {
    return { url: this.request.ringUrl, schema: this.request.schema ?? 'eventGrid' };
  }

  /** Takes the first answer within the ring time; throws what the service answers otherwise. */
  answer(request: AnswerRequest): CallConnection {
    if (this.outcome !== 'ringing') {
      this.record.refusedAnswers += 1;
      throw this.outcome === 'answered' && this.connection?.state !== 'disconnected' ? alreadyAnswered() : notFound();
    }
    this.#ringEnd?.cancel();
    this.record.outcome = 'answered';
    this.record.answers += 1;
    this.record.answeredAfterMs = this.sincePlacedMs();
    const connection = new CallConnection(this.#deps, this, request);
    this.connection = connection;
    this.record.callConnectionId = connection.id;
    this.#deps.connected(connection);
    this.progress({ type: 'answered', callConnectionId: connection.id });
    connection.establish();
    return connection;
  }

  reject(reason: string): void {
    this.#refuse('rejected');
    this.record.rejectReason = reason;
    this.finish();
  }

  redirect(target: string): void {
    this.#refuse('redirected');
    this.record.redirectedTo = target;
    this.finish();
  }

  /** The caller hangs up; resolves when the call is over. */
  async hangUp(): Promise<void> {
    if (this.connection) await this.connection.disconnect('caller');
    else this.#notAnswered('abandoned');
    await this.done;
  }

  /** As if the network between ACS and the worker broke the media socket. */
  dropMedia(): void {
    this.connection?.dropMedia();
  }

  /** The call comes back from where it was transferred: a new ring with the same correlation id. */
  transferBack(changes: Partial<CallRequest> = {}): SimulatedCall {
    const call = new SimulatedCall(this.#deps, {
      ...this.request,
      ...changes,
      correlationId: this.record.correlationId,
    });
    call.ring();
    return call;
  }

  progress(event: CallProgress): void {
    if (this.#progress.length < MAX_KEPT_PROGRESS) this.#progress.push(event);
    this.emit('progress', event);
  }

  /** All that has happened and happens, up to the end. */
  async *events(): AsyncGenerator<CallProgress> {
    for (let at = 0; ; at++) {
      if (at === this.#progress.length) {
        if (this.#finished) return;
        await once(this, 'progress');
      }
      const event = this.#progress[at];
      if (event === undefined) return;
      yield event;
      if (event.type === 'ended') return;
    }
  }

  /** Once: the record stands. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#ringEnd?.cancel();
    // The last event goes in even when the list is full, or readers would wait for ever.
    const ended: CallProgress = { type: 'ended', record: this.record };
    this.#progress.push(ended);
    this.emit('progress', ended);
    this.#finish(this.record);
  }

  #refuse(outcome: 'rejected' | 'redirected'): void {
    if (this.outcome !== 'ringing') throw this.outcome === 'answered' ? alreadyAnswered() : notFound();
    this.record.outcome = outcome;
    this.progress({ type: 'refused', outcome });
  }

  #notAnswered(outcome: 'notAnswered' | 'abandoned'): void {
    if (this.outcome !== 'ringing') return;
    this.record.outcome = outcome;
    this.finish();
  }

  async #deliver(): Promise<void> {
    const { clock, grid, timings } = this.#deps;
    const delayMs = this.request.faults?.ringDelayMs ?? 0;
    if (delayMs > 0) await sleep(clock, delayMs);
    const deadlineMs = this.#placedMs + timings.ringMs;
    await grid.deliver(this.subscription, [this.#event], {
      deadlineMs,
      onAttempt: (status) => this.attempted(status),
    });
  }

  #incomingCall(): GridEvent {
    const { from, to, serverCallId, incomingCallContext } = this;
    const { correlationId } = this.record;
    return {
      id: randomUUID(),
      type: 'Microsoft.Communication.IncomingCall',
      subject: `/caller/${from.rawId}/recipient/${to.rawId}`,
      time: new Date().toISOString(),
      data: { to, from, serverCallId, callerDisplayName: '', incomingCallContext, correlationId },
    };
  }
}

/** Opaque to the receiver, and about as long as the service's. */
function newContext(correlationId: string): string {
  const body = { correlationId, nonce: randomBytes(CONTEXT_PADDING_BYTES).toString('base64') };
  return `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify(body)).toString('base64url')}.${randomUUID()}`;
}
