import { parentPort, workerData } from 'node:worker_threads';
import { Flite } from './flite.ts';
import { Resampler } from './resampler.ts';
import type { SpeakerReply, SpeakerRequest } from './speaker.ts';

const port = parentPort;
if (!port) throw new Error('speaker_thread runs as a worker thread only');

const flite = open();

function open(): Flite | undefined {
  try {
    const opened = new Flite();
    opened.load((workerData as { voice: string }).voice);
    port?.postMessage({ kind: 'ready' });
    return opened;
  } catch (error) {
    port?.postMessage({ kind: 'unavailable', detail: error instanceof Error ? error.message : String(error) });
    port?.close();
    return undefined;
  }
}

function speak(request: Extract<SpeakerRequest, { kind: 'speak' }>): Int16Array<ArrayBuffer> {
  if (!flite) throw new Error('flite is not loaded');
  const { pcm, sampleRateHertz } = flite.speak(request.voice, request.text);
  if (sampleRateHertz === request.sampleRateHertz) return Int16Array.from(pcm);
  const resampler = new Resampler(sampleRateHertz, request.sampleRateHertz);
  const [body, rest] = [resampler.push(pcm), resampler.flush()];
  const whole = new Int16Array(body.length + rest.length);
  whole.set(body);
  whole.set(rest, body.length);
  return whole;
}

const { stop } = workerData as { stop: Int32Array };

port.on('message', (request: SpeakerRequest) => {
  if (request.kind === 'close' || Atomics.load(stop, 0) === 1) return port.close();
  const pcm = speak(request);
  const reply: SpeakerReply = { kind: 'spoken', id: request.id, pcm };
  port.postMessage(reply, [pcm.buffer]);
});
