import type { MediaCloseReason } from '../../contract/reasons.ts';
import { errorCode } from '../../platform/errors.ts';
import type { CallFigures } from '../../state/calls/analytics.ts';
import type { Activity, MediaListener, MediaStream } from '../media/ports.ts';
import type { CallStatus } from '../ports.ts';
import type { VoiceAction, VoiceListener, VoiceSession } from '../voice/ports.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';

type Recent = NonNullable<CallStatus['recent']>[number];
const RECENT_LIMIT = 6;
/** Response times of a call that its analytics are made of; the first ones of a very long call. */
const RESPONSES_LIMIT = 2_000;

/** The conversation of one call: joins the media stream to the voice backend and writes down what both sides said. */
export class Turns {
  readonly mediaListener: MediaListener;
  readonly #deps: CallDeps;
  readonly #call: Call;
  #session: VoiceSession | undefined;
  #media: MediaStream | undefined;
  /** Answer whose text is known but which is not yet in the record. */
  #open: { answerId: string; text: string } | undefined;
  #turnEndedAtMs: number | undefined;
  #responseMs: number | undefined;
  #firstAudioOut = false;
  #noticePlayed: (() => void) | undefined;
  #count = 0;
  readonly #actions = new Map<string, VoiceAction>();
  readonly #recent: Recent[] = [];
  readonly #responses: number[] = [];
  #setupMs: number | undefined;

  constructor(deps: CallDeps, call: Call) {
    this.#deps = deps;
    this.#call = call;
    this.mediaListener = {
      onMetadata: (metadata) => this.#onMetadata(metadata.sampleRateHertz),
      onFrame: (pcm, activity) => this.#onFrame(pcm, activity),
      onDtmf: (tone) => this.#onDtmf(tone),
      onPlaybackStarted: () => this.#onPlaybackStarted(),
      onPlaybackEnded: (answerId, playedMs, stopped) => this.#onPlaybackEnded(answerId, playedMs, stopped),
      onMustClose: (reason) => this.#onMustClose(reason),
    };
  }

  /** Caller turns so far, those of earlier owners included. */
  get count(): number {
    return this.#count;
  }

  /** Of this owner's part of the call. */
  get latencies(): Pick<CallFigures, 'setupMs' | 'responseMs'> {
    return { setupMs: this.#setupMs, responseMs: this.#responses };
  }

  get recent(): readonly Recent[] {
    return this.#recent;
  }

  /** Media is up: opens the voice session the first time, and goes on where it was after a re-dial. */
  start(media: MediaStream): void {
    this.#media = media;
    if (this.#session) return;
    const resume = this.#call.record.resume();
    this.#count = resume?.history.filter((entry) => entry.role === 'caller').length ?? 0;
    this.#session = this.#deps.backend.open({
      callRef: this.#call.ref,
      sampleRateHertz: this.#deps.spec.call.sampleRateHertz,
      calledBefore: this.#call.record.calledBefore,
      resume,
      listener: this.#voiceListener(media),
    });
    this.#session.start();
  }

  /** Speaks a notice, as before a hang-up of ours; resolves when it has been played, or was stopped. */
  async announce(text: string): Promise<void> {
    if (!this.#session || !this.#media?.attached) return;
    const played = new Promise<void>((resolve) => {
      this.#noticePlayed = resolve;
    });
    await this.#session.announce(text);
    await played;
  }

  /** The call ends: an answer that had begun is part of the transcript. */
  flush(): void {
    if (this.#open) this.#writeAnswer(this.#open.text);
  }

  close(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#actions.clear();
  }

  #voiceListener(media: MediaStream): VoiceListener {
    return {
      onSpeechStarted: () => this.#bargeIn(),
      onPartial: () => this.#call.heard(),
      onCallerTurn: (turn) => this.#onCallerTurn(turn.text),
      onAnswerStarted: (answer) => {
        if (this.#open) this.#writeAnswer(this.#open.text);
        this.#open = answer;
      },
      onAudio: (answerId, pcm) => media.play(answerId, pcm),
      onAnswerEnded: (answer) => {
        if (answer.action) this.#actions.set(answer.answerId, answer.action);
        this.#writeAnswer(answer.text);
        media.endOfAnswer(answer.answerId);
      },
      onError: (error) => {
        this.#deps.metrics.voiceErrors.inc({ code: errorCode(error) });
        this.#call.log.warn({ code: errorCode(error) }, 'the voice backend had trouble; the call goes on');
      },
    };
  }

  #onMetadata(sampleRateHertz: number): void {
    const wanted = this.#deps.spec.call.sampleRateHertz;
    if (sampleRateHertz !== wanted)
      this.#call.log.warn({ sampleRateHertz, wanted }, 'ACS sends another sample rate than was asked for');
  }

  #onFrame(pcm: Int16Array, activity: Activity): void {
    if (activity !== 'silence') {
      this.#call.heard();
      if (activity === 'start') this.#bargeIn();
      if (activity === 'end') this.#turnEndedAtMs = this.#deps.clock.monotonicMs();
    }
    this.#session?.hear(pcm, activity);
  }

  #onDtmf(tone: string): void {
    this.#call.heard();
    this.#bargeIn();
    this.#turnEndedAtMs = this.#deps.clock.monotonicMs();
    this.#session?.dtmf(tone);
  }

  #bargeIn(): void {
    if (!this.#media?.playing) return;
    this.#deps.metrics.bargeIns.inc();
    this.#deps.feeds.bargeIn(this.#call);
    this.#media.stopPlayback();
  }

  #onPlaybackStarted(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#call.heard();
    if (!this.#firstAudioOut) {
      this.#firstAudioOut = true;
      this.#setupMs = Math.round(nowMs - this.#call.createdAtMs);
      this.#deps.metrics.setupSeconds.observe((nowMs - this.#call.createdAtMs) / 1000);
    }
    if (this.#turnEndedAtMs === undefined) return;
    const responseMs = nowMs - this.#turnEndedAtMs;
    this.#turnEndedAtMs = undefined;
    this.#deps.metrics.timeResponse(responseMs / 1000);
    if (this.#responses.length < RESPONSES_LIMIT) this.#responses.push(Math.round(responseMs));
    // Audio can start before or after the answer's text is complete.
    const last = this.#recent.at(-1);
    if (last?.role === 'assistant' && last.responseMs === undefined) last.responseMs = Math.round(responseMs);
    else this.#responseMs = Math.round(responseMs);
  }

  #onPlaybackEnded(answerId: string, playedMs: number, stopped: boolean): void {
    this.#call.heard();
    const action = this.#actions.get(answerId);
    this.#actions.delete(answerId);
    if (stopped) this.#session?.interrupted(answerId, playedMs);
    else if (action) this.#act(action);
    if (!this.#media?.playing) this.#noticePlayed?.();
  }

  #act(action: VoiceAction): void {
    if (action.kind === 'hangUp') this.#call.end('dialogueHangUp');
    else void this.#call.transfer(action.target);
  }

  #onCallerTurn(text: string): void {
    if (this.#open) this.#writeAnswer(this.#open.text);
    this.#count += 1;
    this.#call.record.append('caller', text);
    this.#remember({ role: 'caller', text });
    this.#deps.feeds.turn(this.#call, text);
    this.#call.record.checkpoint(this.#session?.snapshot());
  }

  #writeAnswer(text: string): void {
    this.#open = undefined;
    if (text === '') return;
    this.#call.record.append('assistant', text);
    this.#remember({
      role: 'assistant',
      text,
      ...(this.#responseMs === undefined ? {} : { responseMs: this.#responseMs }),
    });
    this.#responseMs = undefined;
    this.#deps.feeds.turn(this.#call, text);
    this.#call.record.checkpoint(this.#session?.snapshot());
  }

  #remember(entry: Recent): void {
    this.#recent.push(entry);
    if (this.#recent.length > RECENT_LIMIT) this.#recent.shift();
  }

  #onMustClose(reason: MediaCloseReason): void {
    this.#call.log.warn({ reason }, 'the media socket is closed; ACS is expected to dial again');
  }
}
