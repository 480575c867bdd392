import { seededRandom } from '../../platform/random.ts';

/** Audio and frames of the media benchmark: 16 kHz, 20 ms. */
export const SAMPLE_RATE_HERTZ = 16_000;
const FRAME_SAMPLES = 320;
/** A cycle of five seconds, 40 % of it speech. */
const SPEECH_FRAMES = 100;
const SILENCE_FRAMES = 150;

/** A voice as far as a detector of energy in six bands can tell: a falling pulse train of 120 Hz through three resonances, in syllables of 200 ms. */
export function speechPcm(frames: number): Int16Array {
  const pcm = new Int16Array(frames * FRAME_SAMPLES);
  const formants = [700, 1_220, 2_600].map((hertz) => resonator(hertz, 0.97));
  const random = seededRandom(7);
  for (let i = 0; i < pcm.length; i++) {
    const second = i / SAMPLE_RATE_HERTZ;
    const pitchSamples = Math.round(SAMPLE_RATE_HERTZ / (120 - 10 * Math.sin(2 * Math.PI * 0.7 * second)));
    const source = (i % pitchSamples === 0 ? 1 : 0) + 0.02 * (random.fraction() - 0.5);
    const syllable = 0.35 + 0.65 * Math.abs(Math.sin(Math.PI * 2.5 * second));
    const voiced = formants.reduce((sum, filter) => sum + filter(source), 0);
    pcm[i] = Math.max(-32_000, Math.min(32_000, Math.round(voiced * 3_500 * syllable)));
  }
  return pcm;
}

/** The hiss of an open line, RMS about 45. */
export function linePcm(frames: number): Int16Array {
  const random = seededRandom(11);
  return Int16Array.from({ length: frames * FRAME_SAMPLES }, () => Math.round((random.fraction() - 0.5) * 156));
}

function resonator(hertz: number, radius: number): (input: number) => number {
  const a = 2 * radius * Math.cos((2 * Math.PI * hertz) / SAMPLE_RATE_HERTZ);
  const b = -radius * radius;
  let y1 = 0;
  let y2 = 0;
  return (input) => {
    const y = input + a * y1 + b * y2;
    y2 = y1;
    y1 = y;
    return y;
  };
}

/** The file that loadgen.c reads: a whole cycle of distinct frames as ACS writes them. */
export function frameFile(): Buffer {
  const counts = Buffer.alloc(8);
  counts.writeUInt32LE(SPEECH_FRAMES, 0);
  counts.writeUInt32LE(SILENCE_FRAMES, 4);
  const pieces: Buffer[] = [counts];
  for (const pcm of [speechPcm(SPEECH_FRAMES), linePcm(SILENCE_FRAMES)]) {
    for (let at = 0; at < pcm.length; at += FRAME_SAMPLES) {
      const text = Buffer.from(frameText(pcm.subarray(at, at + FRAME_SAMPLES), pieces.length));
      const length = Buffer.alloc(2);
      length.writeUInt16LE(text.length);
      pieces.push(Buffer.concat([length, text]));
    }
  }
  return Buffer.concat(pieces);
}

function frameText(pcm: Int16Array, index: number): string {
  const time = new Date(Date.UTC(2026, 0, 1) + index * 20).toISOString();
  const data = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
  return `{"kind":"AudioData","audioData":{"timestamp":"${time}","participantRawID":"8:acs:00000000-0000-0000-0000-000000000000_00000000-1111-2222-3333-444444444444","data":"${data}","silent":false}}`;
}
