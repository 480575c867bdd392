import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { silentLog } from '../../../platform/log.ts';
import { ManualClock } from '../../../platform/manual_clock.ts';
import { createRegistry } from '../../../platform/metrics.ts';
import type { Activity } from '../../media/ports.ts';
import { createVoiceMetrics } from '../metrics.ts';
import type { VoiceListener, VoiceSession } from '../ports.ts';
import type { SpeechCache } from '../speech_cache.ts';
import { OfflineBackend } from './backend.ts';
import { Flite } from './flite.ts';

const FRAME = 320;
const RESUME_MS = 4_000;
const SILENCE_MS = 12_000;

/** Keeps nothing, and can be slow or fail like a store and its synthesis. */
class TroubledCache implements SpeechCache {
  fails = false;
  #gate: PromiseWithResolvers<void> | undefined;

  async get(_request: unknown, synthesize: () => Promise<Int16Array>): Promise<Int16Array> {
    await this.#gate?.promise;
    if (this.fails) throw new Error('no speech today');
    return synthesize();
  }

  hold(): void {
    this.#gate = Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }
}

/** Writes down what a session tells; `until` waits for a text of it. */
class Ear implements VoiceListener {
  readonly told: string[] = [];
  /** Texts of answers, at once when they are begun. */
  readonly begun: string[] = [];
  readonly audible: string[] = [];
  readonly errors: unknown[] = [];
  #wake: () => void = () => undefined;
  readonly onSpeechStarted = () => undefined;
  readonly onPartial = () => undefined;
  readonly onAnswerStarted = ({ text }: { text: string }) => void this.begun.push(text);
  readonly onCallerTurn = ({ text }: { text: string }) => this.#tell(`turn: ${text}`);
  readonly onAnswerEnded = ({ text }: { text: string }) => this.#tell(`said: ${text}`);

  onAudio(answerId: string): void {
    this.audible.push(answerId);
  }

  onError(error: unknown): void {
    this.errors.push(error);
    this.#tell('error');
  }

  /** Resolves when something like this has been told after what was waited for last. */
  async until(wanted: RegExp): Promise<void> {
    for (;;) {
      const at = this.told.findIndex((text, index) => index >= this.#seen && wanted.test(text));
      if (at >= 0) {
        this.#seen = at + 1;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #seen = 0;

  #tell(text: string): void {
    this.told.push(text);
    this.#wake();
  }
}

const clock = new ManualClock();
const registry = createRegistry({ processMetrics: false });
const cache = new TroubledCache();
const threads: Worker[] = [];
const flite = new Flite();
const backend = new OfflineBackend({
  dialogueFile: fileURLToPath(new URL('../../../examples/dialogue.yaml', import.meta.url)),
  voiceName: 'slt',
  cache,
  clock,
  log: silentLog,
  metrics: createVoiceMetrics(registry),
  workDir: tmpdir(),
});
const note = (worker: Worker) => void threads.push(worker);
// Speech threads do not keep a process alive; what is awaited here comes from them alone.
const alive = setInterval(() => undefined, 60_000);
before(async () => {
  process.on('worker', note);
  await backend.ready();
});
after(async () => {
  clearInterval(alive);
  process.off('worker', note);
  await backend.close();
});

/** A call in which nothing has been said yet. */
function open(): { session: VoiceSession; ear: Ear } {
  const ear = new Ear();
  const session = backend.open({
    callRef: 'c',
    sampleRateHertz: 16_000,
    listener: ear,
    calledBefore: false,
    resume: { dialogue: null, history: [] },
  });
  return { session, ear };
}

/** The frames of a whole utterance, or of its beginning only. */
function speak(session: VoiceSession, pcm: Int16Array, { toTheEnd = true } = {}): void {
  const padded = new Int16Array(Math.ceil(pcm.length / FRAME) * FRAME + 15 * FRAME);
  padded.set(pcm, 10 * FRAME);
  const frames = padded.length / FRAME;
  for (let n = 0; n < frames; n++) {
    const activity: Activity = n === 0 ? 'start' : n === frames - 1 && toTheEnd ? 'end' : 'speech';
    session.hear(padded.subarray(n * FRAME, (n + 1) * FRAME), activity);
  }
}

const say = (session: VoiceSession, text: string) => speak(session, flite.speak('kal16', text).pcm);

/** A number of the metrics as they are exposed; 0 when it is not there. */
async function sampleOf(line: RegExp): Promise<number> {
  return Number(line.exec(await registry.metrics())?.[1] ?? 0);
}

test('who goes on before the last words are understood is understood as a whole, in one turn', async () => {
  const { session, ear } = open();
  say(session, 'i would like to book a table');
  say(session, 'for four people');
  await ear.until(/^said: On which day/);
  assert.deepEqual(ear.told, ['turn: i would like to book a table for four people', 'said: On which day?']);
  session.close();
});

test('a line that never falls silent is answered in the end', async () => {
  const { session, ear } = open();
  const { pcm } = flite.speak('kal16', 'when are you open');
  const understood = () => sampleOf(/^rtvoice_utterances_total{result="text"} (\d+)/m);
  const before = await understood();
  for (let parts = 0; parts < 4; parts++) {
    speak(session, pcm, { toTheEnd: false });
    while ((await understood()) < before + parts) await new Promise(setImmediate);
    assert.deepEqual(ear.told, [], 'nobody speaks into it');
  }
  session.hear(new Int16Array(FRAME), 'end');
  session.hear(new Int16Array(FRAME), 'start');
  session.hear(new Int16Array(FRAME), 'end');
  await ear.until(/^turn: when are you open when are you open when are you open/);
  session.close();
});

test('an answer of which nothing was heard is not spoken into what the caller says next', async () => {
  const { session, ear } = open();
  cache.hold();
  say(session, 'when are you open');
  await ear.until(/^turn/);
  say(session, 'where are you located');
  cache.release();
  await ear.until(/^said/);
  assert.deepEqual(
    ear.told.map((text) => text.split('.')[0]),
    [
      'turn: when are you open',
      'turn: where are you located',
      'said: We are at twelve River Street, next to the station',
    ],
  );
  assert.equal(new Set(ear.audible).size, 1);
  session.close();
});

test('a key that ends what was complete repeats the answer it cut off, at once', async () => {
  const { session, ear } = open();
  session.dtmf('2');
  await ear.until(/^said: Please tell me/);
  for (const tone of '4711') session.dtmf(tone);
  session.dtmf('#');
  await ear.until(/^said: The balance/);
  session.interrupted('answer-2', 100);
  session.dtmf('#');
  await ear.until(/^said: The balance/);
  session.close();
});

test('a lone end key does not silence the call for ever', async () => {
  const { session, ear } = open();
  session.dtmf('1');
  await ear.until(/^said: We are open/);
  clock.advance(10_000);
  session.dtmf('#');
  clock.advance(SILENCE_MS);
  await ear.until(/^said: Are you still there/);
  session.close();
});

test('when the recogniser dies in the middle, the caller is asked again after the last word, and about a silence after that', async () => {
  const { session, ear } = open();
  speak(session, flite.speak('kal16', 'when are you open').pcm, { toTheEnd: false });
  // A message that no thread can read is their end.
  for (const thread of threads.splice(0)) thread.postMessage(null);
  await ear.until(/^error/);
  assert.deepEqual(ear.told, ['error'], 'nothing is said into the speech');
  session.hear(new Int16Array(FRAME), 'end');
  while (threads.length < 3) {
    clock.advance(100);
    await new Promise(setImmediate);
  }
  await ear.until(/^said: I am sorry, I did not understand/);
  clock.advance(20_000);
  await ear.until(/^said: Are you still there/);
  session.close();
});

test('an answer that could not be spoken is said when the caller waits', async () => {
  const { session, ear } = open();
  cache.fails = true;
  session.dtmf('1');
  await ear.until(/^said: We are open/);
  assert.equal(ear.errors.length, 1);
  assert.equal(ear.audible.length, 0);
  cache.fails = false;
  clock.advance(RESUME_MS);
  await ear.until(/^said: We are open/);
  assert.ok(ear.audible.length > 0);
  session.close();
});

test('no answer follows a notice, and no question is asked into it', async () => {
  const { session, ear } = open();
  cache.hold();
  session.dtmf('1');
  await ear.until(/^turn/);
  const announced = session.announce('This call has to end. Goodbye.');
  cache.release();
  await announced;
  clock.advance(RESUME_MS);
  assert.equal(ear.begun.length, 1);
  assert.deepEqual(ear.told, ['turn: 1', 'said: This call has to end. Goodbye.']);
  assert.equal(new Set(ear.audible).size, 1);
  session.close();
});

test('the caller is asked about a silence only after what is still being heard', async () => {
  const { session, ear } = open();
  const emptyBefore = await sampleOf(/^rtvoice_utterances_total{result="empty"} (\d+)/m);
  speak(session, new Int16Array(FRAME * 20), { toTheEnd: false });
  session.dtmf('1');
  await ear.until(/^said: We are open/);
  session.hear(new Int16Array(FRAME), 'end');
  while ((await sampleOf(/^rtvoice_utterances_total{result="empty"} (\d+)/m)) === emptyBefore)
    await new Promise(setImmediate);
  clock.advance(SILENCE_MS);
  assert.equal(ear.begun.length, 1, 'the answer takes some seconds more');
  clock.advance(SILENCE_MS);
  await ear.until(/^said: Are you still there/);
  session.close();
});

test('only answers to a caller count for the time to the first audio', async () => {
  const count = () => sampleOf(/^rtvoice_first_audio_duration_seconds_count (\d+)/m);
  const counted = await count();
  const ear = new Ear();
  const session = backend.open({
    callRef: 'c',
    sampleRateHertz: 16_000,
    listener: ear,
    calledBefore: false,
    resume: undefined,
  });
  session.start();
  await ear.until(/^said: Welcome/);
  assert.equal(await count(), counted);
  session.dtmf('1');
  await ear.until(/^said: We are open/);
  assert.equal(await count(), counted + 1);
  session.close();
});
