import assert from 'node:assert/strict';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { after, before, type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { silentLog } from '../../../platform/log.ts';
import { ManualClock } from '../../../platform/manual_clock.ts';
import { createRegistry } from '../../../platform/metrics.ts';
import { createVoiceMetrics } from '../metrics.ts';
import { Flite } from './flite.ts';
import { Recogniser, type Utterance } from './recogniser.ts';
import { Speaker } from './speaker.ts';

const flite = new Flite();
const { pcm: hours } = flite.speak('kal16', 'what are your opening hours');
/** Keeps flite busy inside its native code for some seconds: nothing can end that thread from outside. */
const LONG = 'This sentence is only one of very many others. '.repeat(100);

/**
 * Threads that were started since it was asked for last; real ones, which a test may keep busy or let die of a message they
 * cannot read. They are not terminated: a thread that is inside native code then takes the process with it.
 */
const started: Worker[] = [];
const note = (worker: Worker) => void started.push(worker);
// Speech threads do not keep a process alive; what is awaited here comes from them alone.
const alive = setInterval(() => undefined, 60_000);
before(() => process.on('worker', note));
after(() => {
  clearInterval(alive);
  process.off('worker', note);
});

function parts() {
  started.length = 0;
  const registry = createRegistry({ processMetrics: false });
  return { clock: new ManualClock(), registry, log: silentLog, metrics: createVoiceMetrics(registry) };
}

function recogniserOf(t: TestContext, { clock, log, metrics }: ReturnType<typeof parts>): Recogniser {
  const recogniser = new Recogniser({
    threads: 1,
    phrases: ['what are your opening hours'],
    workDir: tmpdir(),
    clock,
    log,
    metrics,
  });
  t.after(() => recogniser.close());
  return recogniser;
}

function speakerOf(t: TestContext, given: ReturnType<typeof parts>): Speaker {
  const speaker = new Speaker({ voice: 'slt', ...given });
  t.after(() => speaker.close());
  return speaker;
}

/** The thread that was started as the nth. */
async function newest(count: number): Promise<Worker> {
  while (started.length < count) await new Promise((resolve) => process.once('worker', resolve));
  return started[count - 1] as Worker;
}

async function comesUp(worker: Worker): Promise<void> {
  for (;;) {
    const [message] = await once(worker, 'message');
    if ((message as { kind: string }).kind === 'ready') return;
  }
}

/** An utterance and what becomes of it. */
function begin(recogniser: Recogniser): { utterance: Utterance; text: Promise<string> } {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  promise.catch(() => undefined);
  return {
    utterance: recogniser.begin({ onPartial: () => undefined, onFinal: resolve, onFailed: reject }),
    text: promise,
  };
}

test('a recogniser thread that dies fails its utterance, comes up again, and gives its memory back', async (t) => {
  const given = parts();
  const recogniser = recogniserOf(t, given);
  await recogniser.ready();
  const rss = process.memoryUsage().rss;
  for (let deaths = 1; deaths <= 3; deaths++) {
    const { text } = begin(recogniser);
    (await newest(deaths)).postMessage(null);
    await assert.rejects(text, { code: 'ERR_SPEECH_FAILED' });
    given.clock.advance(100);
    await comesUp(await newest(deaths + 1));
  }
  const { utterance, text } = begin(recogniser);
  utterance.hear(hours);
  utterance.end();
  assert.equal(await text, 'what are your opening hours');
  const grownMib = (process.memoryUsage().rss - rss) / 2 ** 20;
  assert.ok(grownMib < 250, `three decoders were given back; grown by ${grownMib.toFixed(0)} MiB`);
});

test('an utterance that gets no thread is refused in time, and leaves the queue when it is cancelled', async (t) => {
  const given = parts();
  const recogniser = recogniserOf(t, given);
  await recogniser.ready();
  const running = begin(recogniser);
  const ended = begin(recogniser);
  const cancelled = begin(recogniser);
  const waiting = async () =>
    (await given.registry.getSingleMetric('rtvoice_recognition_waiting')?.get())?.values[0]?.value;
  assert.equal(await waiting(), 2);
  cancelled.utterance.cancel();
  assert.equal(await waiting(), 1);
  ended.utterance.end();
  for (let seconds = 0; seconds < 15; seconds++) {
    running.utterance.hear(new Int16Array(320));
    given.clock.advance(1_000);
  }
  await assert.rejects(ended.text, { code: 'ERR_SPEECH_BUSY' });
  assert.equal(await waiting(), 0);
});

test('an utterance whose audio stops is ended, so that another caller is heard', async (t) => {
  const given = parts();
  const recogniser = recogniserOf(t, given);
  await recogniser.ready();
  const cutOff = begin(recogniser);
  cutOff.utterance.hear(hours);
  const other = begin(recogniser);
  other.utterance.hear(hours);
  other.utterance.end();
  given.clock.advance(6_000);
  assert.equal(await cutOff.text, 'what are your opening hours', 'what was said before the line went counts');
  assert.equal(await other.text, 'what are your opening hours');
  cutOff.utterance.hear(hours);
  cutOff.utterance.end();
});

test('whoever waits for a text when the recogniser closes is told that none comes', async (t) => {
  const recogniser = recogniserOf(t, parts());
  await recogniser.ready();
  const [running, waiting] = [begin(recogniser), begin(recogniser)];
  await recogniser.close();
  await assert.rejects(running.text, { code: 'ERR_SPEECH_FAILED' });
  await assert.rejects(waiting.text, { code: 'ERR_SPEECH_BUSY' });
  await assert.rejects(begin(recogniser).text, { code: 'ERR_SPEECH_BUSY' });
});

test('a sentence that no thread takes is refused in time', async (t) => {
  const given = parts();
  const speaker = speakerOf(t, given);
  await speaker.ready();
  const dying = await newest(1);
  dying.postMessage(null);
  await new Promise((resolve) => dying.once('exit', resolve));
  const spoken = speaker.speak({ voice: 'slt', sampleRateHertz: 16_000, text: 'Hello.' });
  given.clock.advance(10_000);
  await assert.rejects(spoken, { code: 'ERR_SPEECH_BUSY' });
});

/** The newest thread speaks for so long that it answers nothing meanwhile. */
async function hang(): Promise<{ hasEnded: boolean; end: Promise<void> }> {
  const thread = await newest(1);
  const hung = { hasEnded: false, end: Promise.resolve() };
  hung.end = once(thread, 'exit').then(() => {
    hung.hasEnded = true;
  });
  thread.postMessage({ kind: 'speak', id: -1, voice: 'slt', sampleRateHertz: 16_000, text: LONG });
  return hung;
}

test('a thread that hangs in native code is given up at once, and another speaks before it ends', async (t) => {
  const given = parts();
  const speaker = speakerOf(t, given);
  await speaker.ready();
  const hung = await hang();
  const lost = speaker.speak({ voice: 'slt', sampleRateHertz: 16_000, text: 'Hello.' });
  given.clock.advance(10_000);
  await assert.rejects(lost, { code: 'ERR_SPEECH_FAILED' });
  assert.equal(hung.hasEnded, false);
  given.clock.advance(100);
  const spoken = await speaker.speak({ voice: 'slt', sampleRateHertz: 16_000, text: 'Hello.' });
  assert.ok(spoken.length > 0);
  await hung.end;
});

test('a recogniser that is too slow, or still loads, is given up without harm to the process', async (t) => {
  const given = parts();
  const recogniser = recogniserOf(t, given);
  given.clock.advance(60_000);
  await assert.rejects(recogniser.ready(), { code: 'ERR_SPEECH_UNAVAILABLE' });
  given.clock.advance(100);
  await comesUp(await newest(2));
  const slow = begin(recogniser);
  for (let times = 0; times < 20; times++) slow.utterance.hear(hours);
  slow.utterance.end();
  given.clock.advance(15_000);
  await assert.rejects(slow.text, { code: 'ERR_SPEECH_FAILED' });
  given.clock.advance(200);
  const { utterance, text } = begin(recogniser);
  utterance.hear(hours);
  utterance.end();
  assert.equal(await text, 'what are your opening hours');
});

test('closing does not wait for a thread that hangs', async (t) => {
  const given = parts();
  const speaker = speakerOf(t, given);
  await speaker.ready();
  const hung = await hang();
  const closed = speaker.close();
  given.clock.advance(4_000);
  await closed;
  assert.equal(hung.hasEnded, false);
  await hung.end;
});

test('a thread that does not come up is replaced', async (t) => {
  const given = parts();
  const speaker = speakerOf(t, given);
  given.clock.advance(60_000);
  await assert.rejects(speaker.ready(), { code: 'ERR_SPEECH_UNAVAILABLE' });
  given.clock.advance(100);
  const spoken = await speaker.speak({ voice: 'slt', sampleRateHertz: 16_000, text: 'Hello.' });
  assert.ok(spoken.length > 0);
});
