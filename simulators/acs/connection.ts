import { randomUUID } from 'node:crypto';
import { sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import { runScript } from '../caller/run.ts';
import { MediaConnection } from '../media/connection.ts';
import { metadataMessage, type SampleRate } from '../media/frames.ts';
import { MediaLeg } from '../media/leg.ts';
import { WavRecorder } from '../media/wav_recorder.ts';
import type { SimulatedCall } from './call.ts';
import { Callbacks } from './callbacks.ts';
import type { AcsDeps } from './deps.ts';
import { notStreaming } from './errors.ts';
import type { Identifier } from './identifiers.ts';

export interface MediaOptions {
  transportUrl: string;
  startMediaStreaming: boolean;
  enableDtmfTones: boolean;
  rate: SampleRate;
}

export interface AnswerRequest {
  callbackUri: string;
  operationContext: string | undefined;
  media: MediaOptions | undefined;
}

/** Mid-call state of `callConnectionState`. */
export type ConnectionState =
  /** Answered; media is being dialled and CallConnected not yet told. */
  | 'connecting'
  | 'connected'
  /** Over: CallDisconnected was the last event. */
  | 'disconnected';

const CALLBACK_TOKEN_SECONDS = 300;
const MEDIA_TOKEN_SECONDS = 86_400;
/** CallConnected does not wait longer for the media socket, which usually comes first (seen in field logs). */
const MEDIA_FIRST_MS = 200;
const FIRST_MEDIA_MS = 10_000;
const LAST_CALLBACK_MS = 2_000;
const OK = { code: 200, subCode: 0, message: '' };

/** An answered call: its events, its media stream and the caller at the other end. */
export class CallConnection {
  readonly id = randomUUID();
  readonly subscriptionId = randomUUID();
  readonly call: SimulatedCall;
  readonly request: AnswerRequest;
  readonly participants: Identifier[];
  readonly callbacks: Callbacks;
  state: ConnectionState = 'connecting';
  streaming = false;
  /** The caller's keys are also told as events, counted from 1. */
  continuousDtmf: { operationContext: string | undefined; sequence: number } | undefined;
  readonly #deps: AcsDeps;
  readonly #media: MediaConnection | undefined;
  readonly #leg: MediaLeg;
  readonly #recorder: WavRecorder | undefined;
  readonly #heldEvents: (() => void)[] = [];
  #sequence = 0;
  #opened: () => void = () => undefined;
  readonly #firstMedia = new Promise<void>((resolve) => {
    this.#opened = resolve;
  });

  constructor(deps: AcsDeps, call: SimulatedCall, request: AnswerRequest) {
    this.#deps = deps;
    this.call = call;
    this.request = request;
    this.participants = [call.from];
    const rate = request.media?.rate ?? 16_000;
    this.callbacks = this.#newCallbacks();
    this.#media = request.media && this.#newMedia(request.media);
    this.#recorder = call.request.recordTo === undefined ? undefined : new WavRecorder(call.request.recordTo, rate);
    this.#leg = new MediaLeg({
      ...{ rate, clock: deps.clock, ticker: deps.ticker, record: call.record, recorder: this.#recorder },
      send: (message) => this.#media?.send(message) ?? false,
      isOpen: () => this.#media?.isOpen ?? false,
      sincePlacedMs: () => call.sincePlacedMs(),
      progress: (event) => call.progress(event),
    });
  }

  /** Dials the media, tells that the call is connected and lets the caller speak. */
  establish(): void {
    if (this.request.media?.startMediaStreaming) this.#media?.start('first');
    this.#establish().catch((error) => {
      this.call.progress({ type: 'scriptFailed', message: `${errorCode(error)}: ${(error as Error).message}` });
      void this.disconnect('caller');
    });
  }

  /** An event with the ids that all carry. */
  emit(type: string, extra: Record<string, unknown> = {}, options: { url?: string | undefined } = {}): void {
    this.callbacks.send(type, { ...this.#ids(), resultInformation: OK, ...extra }, options.url);
  }

  participantsUpdated(): void {
    this.#sequence += 1;
    const participants = this.participants.map((identifier) => ({ identifier, isMuted: false, isOnHold: false }));
    this.emit('ParticipantsUpdated', { participants, sequenceNumber: this.#sequence });
  }

  /** Always dials anew, an open socket or not. */
  startMedia(): void {
    if (!this.#media) throw notStreaming();
    this.#media.start('asked');
  }

  stopMedia(operationContext: string | undefined, url: string | undefined): void {
    if (!this.#media) throw notStreaming();
    this.#media.stop();
    this.#leg.lost();
    this.streaming = false;
    const mediaStreamingUpdate = update('mediaStreamingStopped', 'subscriptionStopped');
    this.emit('MediaStreamingStopped', { operationContext, mediaStreamingUpdate }, { url });
  }

  dropMedia(): void {
    this.#media?.drop();
  }

  /** Ends the call for everyone; resolves when the record stands. */
  async disconnect(by: 'caller' | 'worker' | 'transfer'): Promise<void> {
    const { call } = this;
    if (this.state === 'disconnected') return void (await call.done);
    this.state = 'disconnected';
    call.record.disconnectedBy = by;
    this.#leg.end();
    this.#media?.stop();
    const last = this.callbacks.sendLast('CallDisconnected', { ...this.#ids(), resultInformation: OK });
    if (this.#recorder) {
      call.record.recording = await this.#recorder.write().catch((error) => {
        process.emitWarning(error);
        return undefined;
      });
    }
    await Promise.race([last, sleep(this.#deps.clock, LAST_CALLBACK_MS)]);
    call.finish();
  }

  async #establish(): Promise<void> {
    const { clock, timings, speech } = this.#deps;
    await Promise.race([this.#firstMedia, sleep(clock, this.#media ? MEDIA_FIRST_MS : 0)]);
    await sleep(clock, timings.connectMs);
    if (this.state !== 'connecting') return;
    this.state = 'connected';
    const { operationContext } = this.request;
    this.emit('CallConnected', { operationContext });
    this.participantsUpdated();
    for (const release of this.#heldEvents.splice(0)) release();
    if (this.#media) await Promise.race([this.#firstMedia, sleep(clock, FIRST_MEDIA_MS)]);
    await runScript(this.call.request.script, {
      ...{ leg: this.#leg, rate: this.request.media?.rate ?? 16_000, speech, turns: this.call.record.turns },
      onTone: (tone) => this.#tone(tone),
      hangUp: () => void this.disconnect('caller'),
      progress: (event) => this.call.progress(event),
      ended: () => this.state === 'disconnected',
    });
  }

  #tone(tone: string): void {
    if (this.state !== 'connected') return;
    if (this.request.media?.enableDtmfTones) this.#leg.sendTone(tone);
    const recognition = this.continuousDtmf;
    if (!recognition) return;
    recognition.sequence += 1;
    this.emit('ContinuousDtmfRecognitionToneReceived', {
      ...{ sequenceId: recognition.sequence, tone: toneName(tone), operationContext: recognition.operationContext },
    });
  }

  #ids() {
    const { call, id } = this;
    return { callConnectionId: id, serverCallId: call.serverCallId, correlationId: call.record.correlationId };
  }

  #newCallbacks(): Callbacks {
    const { call, request } = this;
    const { poster, clock, token, faults } = this.#deps;
    return new Callbacks({
      ...{ callConnectionId: this.id, url: request.callbackUri, poster, clock, record: call.record.callbacks },
      token: () => token(CALLBACK_TOKEN_SECONDS),
      faults: () => ({ ...faults.callbacks, ...call.request.faults }),
      onAttempt: (event, status) => call.progress({ type: 'callback', event, status }),
    });
  }

  #newMedia(media: MediaOptions): MediaConnection {
    const { call } = this;
    const { clock, token, timings, localAuthority, mediaRedial } = this.#deps;
    return new MediaConnection({
      ...{ url: media.transportUrl, clock, ca: [localAuthority], pingMs: timings.pingMs },
      redial: call.request.faults?.mediaRedial ?? mediaRedial,
      headers: async () => ({
        'x-ms-call-connection-id': this.id,
        'x-ms-call-correlation-id': call.record.correlationId,
        authorization: `Bearer ${await token(MEDIA_TOKEN_SECONDS)}`,
      }),
      listener: {
        onOpen: (cause) => this.#mediaOpened(media, cause),
        onMessage: (data) => this.#leg.receive(data),
        onLost: (code) => this.#mediaLost(code),
        onGaveUp: (status) => this.#mediaGaveUp(status),
      },
    });
  }

  #mediaOpened(media: MediaOptions, cause: 'first' | 'again' | 'asked'): void {
    const { call } = this;
    call.record.mediaConnects += 1;
    this.streaming = true;
    this.#media?.send(metadataMessage(this.subscriptionId, media.rate));
    this.#leg.opened();
    this.#opened();
    call.progress({ type: 'mediaConnected', times: call.record.mediaConnects });
    const details = cause === 'again' ? 'streamConnectionReestablished' : 'subscriptionStarted';
    this.#mediaEvent('MediaStreamingStarted', { mediaStreamingUpdate: update('mediaStreamingStarted', details) });
  }

  #mediaLost(code: number): void {
    this.streaming = false;
    this.call.record.mediaCloseCodes.push(code);
    this.#leg.lost();
    this.call.progress({ type: 'mediaLost', code });
  }

  #mediaGaveUp(status: number): void {
    const first = this.call.record.mediaConnects === 0;
    const unreached = first ? 'initialWebSocketConnectionFailed' : 'streamConnectionUnsuccessful';
    const details = status === 401 ? 'authenticationFailure' : unreached;
    const message = 'Transport url is not valid or web socket server is not operational';
    this.#mediaEvent('MediaStreamingFailed', {
      resultInformation: { code: 400, subCode: 8581, message },
      mediaStreamingUpdate: update('mediaStreamingFailed', details),
    });
  }

  /** Not before CallConnected, as field logs show. */
  #mediaEvent(type: string, extra: Record<string, unknown>): void {
    if (this.state === 'connecting') this.#heldEvents.push(() => this.emit(type, extra));
    else this.emit(type, extra);
  }
}

function update(mediaStreamingStatus: string, mediaStreamingStatusDetails: string) {
  return { contentType: 'Audio', mediaStreamingStatus, mediaStreamingStatusDetails };
}

const NAMED_TONES: Readonly<Record<string, string>> = { '*': 'asterisk', '#': 'pound' };
const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** As the SDK's `Tone` writes them. */
function toneName(tone: string): string {
  return NAMED_TONES[tone] ?? DIGITS[Number(tone)] ?? tone.toLowerCase();
}
