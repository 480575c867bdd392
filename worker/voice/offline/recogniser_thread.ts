import { parentPort, workerData } from 'node:worker_threads';
import { PocketSphinx } from './pocketsphinx.ts';
import type { RecogniserReply, RecogniserRequest } from './recogniser.ts';

const port = parentPort;
if (!port) throw new Error('recogniser_thread runs as a worker thread only');

/** A partial text is told at most this often: every 10 frames. */
const PARTIAL_EVERY = 10;

const sphinx = open();
let current: { id: number; frames: number; told: string } | undefined;

function open(): PocketSphinx | undefined {
  try {
    const opened = new PocketSphinx(workerData as { phrases: string[]; workDir: string });
    port?.postMessage({ kind: 'ready', handle: opened.handle });
    return opened;
  } catch (error) {
    port?.postMessage({ kind: 'unavailable', detail: error instanceof Error ? error.message : String(error) });
    port?.close();
    return undefined;
  }
}

function reply(message: RecogniserReply): void {
  port?.postMessage(message);
}

function hear(id: number, pcm: Int16Array): void {
  if (!sphinx || current?.id !== id) return;
  sphinx.hear(pcm);
  current.frames += 1;
  if (current.frames % PARTIAL_EVERY !== 0) return;
  const text = sphinx.partial();
  if (text === current.told) return;
  current.told = text;
  reply({ kind: 'partial', id, text });
}

/** A cancelled utterance must be ended as well, or the next cannot begin. */
function finish(id: number): string {
  if (!sphinx || current?.id !== id) return '';
  current = undefined;
  return sphinx.end();
}

const { stop } = workerData as { stop: Int32Array };

port.on('message', (request: RecogniserRequest) => {
  if (Atomics.load(stop, 0) === 1) return port.close();
  switch (request.kind) {
    case 'begin':
      sphinx?.begin();
      current = { id: request.id, frames: 0, told: '' };
      return;
    case 'audio':
      return hear(request.id, request.pcm);
    case 'end':
      return reply({ kind: 'final', id: request.id, text: finish(request.id) });
    case 'cancel':
      finish(request.id);
      return;
    case 'close':
      return port.close();
  }
});
