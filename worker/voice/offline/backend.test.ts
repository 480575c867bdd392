import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../platform/clock.ts';
import { silentLog } from '../../../platform/log.ts';
import { createRegistry } from '../../../platform/metrics.ts';
import { createVoiceMetrics } from '../metrics.ts';
import type { VoiceListener } from '../ports.ts';
import { NoSpeechCache } from '../speech_cache.ts';
import { OfflineBackend } from './backend.ts';
import { Flite } from './flite.ts';
import { Resampler } from './resampler.ts';

const dialogueFile = fileURLToPath(new URL('../../../examples/dialogue.yaml', import.meta.url));
let backend: OfflineBackend;
let flite: Flite;
before(async () => {
  const metrics = createVoiceMetrics(createRegistry({ processMetrics: false }));
  const cache = new NoSpeechCache();
  backend = new OfflineBackend({
    dialogueFile,
    voiceName: 'slt',
    cache,
    clock: systemClock,
    log: silentLog,
    metrics,
    workDir: tmpdir(),
  });
  flite = new Flite();
  await backend.ready();
});
after(() => backend.close());

/** Writes down what a session tells, and can be waited for. */
class Ear extends EventEmitter<{ turn: [string]; ended: [string] }> implements VoiceListener {
  readonly audio: { answerId: string; samples: number }[] = [];
  readonly errors: unknown[] = [];
  readonly onSpeechStarted = () => undefined;
  readonly onPartial = () => undefined;
  readonly onAnswerStarted = () => undefined;
  readonly onCallerTurn = ({ text }: { text: string }) => void this.emit('turn', text);
  readonly onAnswerEnded = ({ text }: { text: string }) => void this.emit('ended', text);
  readonly onError = (error: unknown) => void this.errors.push(error);

  onAudio(answerId: string, pcm: Int16Array): void {
    this.audio.push({ answerId, samples: pcm.length });
  }

  async answer(): Promise<string> {
    const [text] = await once(this, 'ended');
    return text as string;
  }
}

function open(
  ear: Ear,
  options: { sampleRateHertz?: 16000 | 24000; resume?: { dialogue: unknown; history: [] } } = {},
) {
  const { sampleRateHertz = 16_000, resume } = options;
  return backend.open({ callRef: 'c', sampleRateHertz, listener: ear, calledBefore: false, resume });
}

/** One utterance, frame by frame, as the turn detector hands it over. */
function speak(session: ReturnType<typeof open>, text: string, sampleRateHertz = 16_000): void {
  const { pcm: spoken } = flite.speak('kal16', text);
  const pcm = sampleRateHertz === 16_000 ? spoken : new Resampler(16_000, sampleRateHertz).push(spoken);
  const frame = sampleRateHertz / 50;
  const padded = new Int16Array(Math.ceil(pcm.length / frame) * frame + 15 * frame);
  padded.set(pcm, 10 * frame);
  const frames = padded.length / frame;
  for (let n = 0; n < frames; n++) {
    session.hear(padded.subarray(n * frame, (n + 1) * frame), n === 0 ? 'start' : n === frames - 1 ? 'end' : 'speech');
  }
}

test('greets, understands and answers; the turn comes before its answer', async () => {
  const ear = new Ear();
  const session = open(ear);
  session.start();
  assert.match(await ear.answer(), /^Welcome/);
  const turn = once(ear, 'turn');
  const answer = ear.answer();
  speak(session, 'what are your opening hours');
  assert.deepEqual(await turn, ['what are your opening hours']);
  assert.match(await answer, /nine to five/);
  assert.ok(ear.audio.every(({ samples }) => samples > 0));
  session.close();
});

test('a session of 24 kHz is heard as well, and answered at its rate', async () => {
  const ear = new Ear();
  const session = open(ear, { sampleRateHertz: 24_000, resume: { dialogue: null, history: [] } });
  session.start();
  const answer = ear.answer();
  speak(session, 'what are your opening hours', 24_000);
  assert.match(await answer, /nine to five/);
  session.close();
});

test('after an interruption no more audio of that answer comes, and the conversation goes on', async () => {
  const ear = new Ear();
  const session = open(ear);
  session.start();
  session.interrupted('answer-1', 100);
  const answer = ear.answer();
  speak(session, 'when are you open');
  assert.match(await answer, /nine to five/, 'the answer that was cut off never ends');
  assert.equal(ear.audio.filter(({ answerId }) => answerId === 'answer-1').length, 0);
  session.close();
});

test('a call that was taken over is not greeted again, and knows what was asked', async () => {
  const first = new Ear();
  const before = open(first, { resume: { dialogue: null, history: [] } });
  before.start();
  const asked = first.answer();
  speak(before, 'what is my account balance');
  assert.match(await asked, /account number/);
  const snapshot = JSON.parse(JSON.stringify(before.snapshot())) as unknown;
  before.close();

  const second = new Ear();
  const session = open(second, { resume: { dialogue: snapshot, history: [] } });
  session.start();
  const answer = second.answer();
  for (const tone of '4711') session.dtmf(tone);
  assert.match(await answer, /balance of account/, 'the first thing that is said is the answer to the open question');
  session.close();
});

test('two sessions at once are both answered', async () => {
  const ears = [new Ear(), new Ear()];
  const sessions = ears.map((ear) => open(ear, { resume: { dialogue: null, history: [] } }));
  const answers = ears.map((ear) => ear.answer());
  for (const session of sessions) {
    session.start();
    speak(session, 'where are you located');
  }
  for (const answer of await Promise.all(answers)) assert.match(answer, /River Street/);
  for (const session of sessions) session.close();
});

test('a notice is spoken, and a closed session tells nothing more', async () => {
  const ear = new Ear();
  const session = open(ear, { resume: { dialogue: null, history: [] } });
  await session.announce('This call has to end. Goodbye.');
  assert.equal(ear.audio.length, 2);
  speak(session, 'where are you located');
  session.close();
  const other = new Ear();
  const next = open(other, { resume: { dialogue: null, history: [] } });
  const answer = other.answer();
  speak(next, 'when are you open');
  await answer;
  assert.equal(ear.listenerCount('turn'), 0);
  assert.equal(ear.audio.length, 2, 'the recogniser of the closed session was freed, and its text went nowhere');
  next.close();
});
