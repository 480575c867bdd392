import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { systemClock } from '../../../platform/clock.ts';
import { silentLog } from '../../../platform/log.ts';
import { createRegistry } from '../../../platform/metrics.ts';
import { createListening } from '../../media/listening.ts';
import type { Activity } from '../../media/ports.ts';
import { mediaSettings } from '../../media/settings.ts';
import { loadDialogue } from '../dialogue/load.ts';
import { createVoiceMetrics } from '../metrics.ts';
import { expectedPhrases } from './expected.ts';
import { Flite } from './flite.ts';
import { Recogniser } from './recogniser.ts';

const example = (name: string) => fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));
const FRAME = 320;

let recogniser: Recogniser;
let flite: Flite;
before(async () => {
  const phrases = expectedPhrases(await loadDialogue(example('dialogue.yaml')));
  const metrics = createVoiceMetrics(createRegistry({ processMetrics: false }));
  recogniser = new Recogniser({ threads: 2, phrases, workDir: tmpdir(), clock: systemClock, log: silentLog, metrics });
  flite = new Flite();
  await recogniser.ready();
});
after(() => recogniser.close());

/** What is understood of a phrase that comes as 20 ms frames through turn detection, `offset` samples off the frame's edge. */
async function understand(voice: string, text: string, offset: number): Promise<string> {
  const { pcm } = flite.speak(voice, text);
  const line = new Int16Array(Math.ceil((6_400 + offset + pcm.length + 12_800) / FRAME) * FRAME);
  line.set(pcm, 6_400 + offset);
  const texts: Promise<string>[] = [];
  let utterance: ReturnType<Recogniser['begin']> | undefined;
  const onFrame = (frame: Int16Array, activity: Activity) => {
    if (activity === 'silence') return;
    if (activity === 'start') {
      texts.push(
        new Promise((resolve, reject) => {
          utterance = recogniser.begin({ onPartial: () => undefined, onFinal: resolve, onFailed: reject });
        }),
      );
    }
    utterance?.hear(frame);
    if (activity === 'end') utterance?.end();
  };
  const listening = createListening(mediaSettings({ sampleRateHertz: 16_000 }), { onFrame });
  for (let at = 0; at < line.length; at += FRAME) listening.hear(line.subarray(at, at + FRAME), false);
  listening.close();
  return (await Promise.all(texts)).filter((heard) => heard !== '').join(' | ');
}

interface CallersFile {
  callers: { name: string; voice?: string; lines: { say?: string }[] }[];
}

const { callers } = parse(readFileSync(example('callers.yaml'), 'utf8')) as CallersFile;
for (const { name, voice = 'slt', lines } of callers) {
  test(`every line of ${name} is understood word for word`, async () => {
    for (const { say } of lines) {
      if (say === undefined) continue;
      for (const offset of [0, 160]) assert.equal(await understand(voice, say, offset), say);
    }
  });
}

test('two voices at once are both understood', async () => {
  const heard = await Promise.all([
    understand('kal16', 'what are your opening hours', 0),
    understand('slt', 'please let me speak to a person', 0),
  ]);
  assert.deepEqual(heard, ['what are your opening hours', 'please let me speak to a person']);
});
