import { isObject } from '../http.ts';
import { FRAME_MS } from './ticker.ts';

export type SampleRate = 16_000 | 24_000;

/** 20 ms of 16-bit mono PCM, encoded once and shared by every call that sends it. */
export interface Frame {
  base64: string;
  silent: boolean;
}

/** Largest sample that still counts as silence: under -50 dB of full scale. */
export const AUDIBLE_PEAK = 100;

export const samplesPerFrame = (rate: SampleRate): number => (rate * FRAME_MS) / 1_000;

export function peak(pcm: Int16Array): number {
  let max = 0;
  for (const sample of pcm) max = Math.max(max, Math.abs(sample));
  return max;
}

/** The last frame is filled up with zeros. */
export function encodeFrames(pcm: Int16Array, rate: SampleRate): Frame[] {
  const size = samplesPerFrame(rate);
  const frames: Frame[] = [];
  for (let at = 0; at < pcm.length; at += size) {
    const frame = new Int16Array(size);
    frame.set(pcm.subarray(at, at + size));
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    frames.push({ base64: bytes.toString('base64'), silent: peak(frame) < AUDIBLE_PEAK });
  }
  return frames;
}

const silentFrames = new Map<SampleRate, Frame>();

export function silentFrame(rate: SampleRate): Frame {
  const known = silentFrames.get(rate);
  if (known) return known;
  const frame = { base64: Buffer.alloc(samplesPerFrame(rate) * 2).toString('base64'), silent: true };
  silentFrames.set(rate, frame);
  return frame;
}

export function metadataMessage(subscriptionId: string, sampleRate: SampleRate): string {
  const length = samplesPerFrame(sampleRate) * 2;
  const audioMetadata = { subscriptionId, encoding: 'PCM', sampleRate, channels: 1, length };
  return JSON.stringify({ kind: 'AudioMetadata', audioMetadata });
}

/** Base64 and ISO times need no escaping, so the message is put together by hand: it is made for every frame of every call. */
export function audioMessage(timestamp: string, frame: Frame): string {
  return `{"kind":"AudioData","audioData":{"timestamp":"${timestamp}","data":"${frame.base64}","silent":${frame.silent}}}`;
}

export function dtmfMessage(tone: string): string {
  return JSON.stringify({ kind: 'DtmfData', dtmfData: { data: tone } });
}

export type WorkerMessage =
  | { kind: 'audio'; pcm: Int16Array }
  | { kind: 'stopAudio' }
  /** Nothing the protocol knows; ACS drops it. */
  | { kind: 'malformed'; why: string };

/** Reads what a worker sends. Names count in any letter case, as in the service. */
export function parseWorkerMessage(data: Buffer): WorkerMessage {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return { kind: 'malformed', why: 'not JSON' };
  }
  if (!isObject(value)) return { kind: 'malformed', why: 'not an object' };
  const kind = String(field(value, 'kind') ?? '').toLowerCase();
  if (kind === 'stopaudio') return { kind: 'stopAudio' };
  if (kind !== 'audiodata') return { kind: 'malformed', why: 'unknown kind' };
  const audio = field(value, 'audiodata');
  const base64 = isObject(audio) ? field(audio, 'data') : undefined;
  if (typeof base64 !== 'string') return { kind: 'malformed', why: 'no audio data' };
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0 || bytes.length % 2 === 1) return { kind: 'malformed', why: 'not 16-bit samples' };
  // A copy of its own is aligned; a slice of Node's pool may not be.
  const pcm = new Int16Array(bytes.length / 2);
  bytes.copy(new Uint8Array(pcm.buffer));
  return { kind: 'audio', pcm };
}

function field(object: Record<string, unknown>, lowerCaseName: string): unknown {
  for (const name in object) if (name.toLowerCase() === lowerCaseName) return object[name];
  return undefined;
}
