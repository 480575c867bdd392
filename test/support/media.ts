import fc from 'fast-check';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { MediaMetrics } from '../../worker/media/metrics.ts';
import { Pacer } from '../../worker/media/pacer.ts';
import type { Activity, MediaListener, MediaSocket } from '../../worker/media/ports.ts';

/** Builders for the tests of this folder: frames as ACS writes them, a reference decoder, and a socket and listener that write down what happens. */

export interface FrameParts {
  timestamp?: string;
  participant?: string;
  silent?: boolean;
}

export function audioFrame(pcm: Buffer, parts: FrameParts): string {
  const timestamp = parts.timestamp === undefined ? '' : `"timestamp":"${parts.timestamp}",`;
  const participant = parts.participant === undefined ? '' : `"participantRawID":"${parts.participant}",`;
  return `{"kind":"AudioData","audioData":{${timestamp}${participant}"data":"${pcm.toString('base64')}","silent":${parts.silent ?? false}}}`;
}

export function sinePcm(bytes: number, amplitude = 9_000, hertz = 440, sampleRateHertz = 16_000, phase = 0): Buffer {
  const pcm = Buffer.alloc(bytes);
  for (let i = 0; i + 1 < bytes; i += 2) {
    pcm.writeInt16LE(Math.round(amplitude * Math.sin((2 * Math.PI * hertz * (phase + i / 2)) / sampleRateHertz)), i);
  }
  return pcm;
}

export function arrayBuffer(content: string | Buffer): ArrayBuffer {
  return new Uint8Array(Buffer.from(content as string)).buffer;
}

const BASE64 = /^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$/;

/** What JSON.parse and a strict base64 give for a frame; undefined when it is not good audio. Written apart from the code under test. */
export function referenceDecode(bytes: Buffer): { pcm: Buffer; silent: boolean } | undefined {
  try {
    const message = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    const { data, silent } = message.audioData;
    if (message.kind !== 'AudioData' || typeof data !== 'string' || !BASE64.test(data)) return undefined;
    const pcm = Buffer.from(data, 'base64');
    return pcm.length === 0 || pcm.length % 2 !== 0 ? undefined : { pcm, silent: silent === true };
  } catch {
    return undefined;
  }
}

const FRAGMENTS = [
  '"',
  '\\',
  '\\u002B',
  '\\/',
  '=',
  '==',
  ' ',
  '\n',
  '"data":"',
  '"silent":true',
  '}}',
  '{',
  ',',
  '-',
  '_',
  '\u00e9',
  '"kind":"DtmfData",',
];

export type Mutation = (frame: Buffer) => Buffer;

/** Arbitrary changes of a frame: bytes replaced, cut out, repeated, inserted; often near where the fields meet. */
export function mutate(frameBytes: number): fc.Arbitrary<Mutation> {
  const near = Math.ceil(frameBytes / 3) * 4 + 20;
  const place = fc.oneof(
    fc.nat({ max: 400 }),
    fc.nat({ max: 1_600 }),
    fc.integer({ min: -40, max: -1 }),
    fc.integer({ min: -near, max: -near + 60 }),
  );
  const at = (frame: Buffer, where: number) =>
    Math.max(0, Math.min(frame.length, where < 0 ? frame.length + where : where));
  return fc.oneof<fc.Arbitrary<Mutation>[]>(
    fc.tuple(place, fc.nat({ max: 255 })).map(([where, byte]) => (frame: Buffer) => {
      const out = Buffer.from(frame);
      out[Math.min(out.length - 1, at(frame, where))] = byte;
      return out;
    }),
    fc.tuple(place, fc.constantFrom(...FRAGMENTS), fc.boolean()).map(([where, text, replace]) => (frame: Buffer) => {
      const start = at(frame, where);
      const piece = Buffer.from(text);
      return Buffer.concat([frame.subarray(0, start), piece, frame.subarray(start + (replace ? piece.length : 0))]);
    }),
    fc.tuple(place, fc.nat({ max: 8 })).map(([where, count]) => (frame: Buffer) => {
      const start = at(frame, where);
      return Buffer.concat([frame.subarray(0, start), frame.subarray(start + count)]);
    }),
    // digits of the timestamp and letters of the base64: changes that leave the frame good
    fc
      .tuple(fc.integer({ min: 60, max: 1_000 }), fc.constantFrom(...'0123456789ABCabc'))
      .map(([where, letter]) => (frame: Buffer) => {
        const out = Buffer.from(frame);
        if (/[A-Za-z0-9+/]/.test(String.fromCharCode(out[where] ?? 0))) out[where] = letter.charCodeAt(0);
        return out;
      }),
  );
}

export type SentMessage = { atMs: number; kind: 'audio'; pcm: Buffer } | { atMs: number; kind: 'stop' };

/** A socket that parses what it is sent as ACS does, and can be told to stop reading. */
export class RecordingSocket implements MediaSocket {
  readonly sent: SentMessage[] = [];
  readonly writes: number[] = [];
  ended: { code: number; reason: string } | undefined;
  buffered = 0;
  /** What `send` answers. */
  answer: 0 | 1 | 2 = 1;
  readonly #clock: ManualClock;
  #corked: number | undefined;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  send(message: Uint8Array | string): number {
    if (this.ended) return 2;
    if (this.answer === 2) return 2;
    const parsed = JSON.parse(typeof message === 'string' ? message : Buffer.from(message).toString());
    const atMs = this.#clock.monotonicMs();
    if (parsed.kind === 'StopAudio') this.sent.push({ atMs, kind: 'stop' });
    else this.sent.push({ atMs, kind: 'audio', pcm: Buffer.from(parsed.audioData.data, 'base64') });
    if (this.#corked === undefined) this.writes.push(1);
    else this.#corked++;
    return this.answer;
  }

  cork(send: () => void): void {
    this.#corked = 0;
    send();
    this.writes.push(this.#corked);
    this.#corked = undefined;
  }

  bufferedBytes(): number {
    return this.buffered;
  }

  end(code: number, reason: string): void {
    this.ended ??= { code, reason };
  }

  get audio(): { atMs: number; pcm: Buffer }[] {
    return this.sent.filter((message) => message.kind === 'audio');
  }
}

export type Heard =
  | { event: 'metadata'; sampleRateHertz: number; subscriptionId: string }
  | { event: 'frame'; activity: Activity; pcm: Int16Array }
  | { event: 'dtmf'; tone: string }
  | { event: 'started'; answerId: string; atMs: number }
  | { event: 'ended'; answerId: string; playedMs: number; stopped: boolean; atMs: number }
  | { event: 'mustClose'; reason: string };

/** A listener that keeps all it is told. */
export class RecordingListener implements MediaListener {
  readonly heard: Heard[] = [];
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  onMetadata(metadata: { sampleRateHertz: number; subscriptionId: string }): void {
    this.heard.push({ event: 'metadata', ...metadata });
  }
  onFrame(pcm: Int16Array, activity: Activity): void {
    this.heard.push({ event: 'frame', activity, pcm: pcm.slice() });
  }
  onDtmf(tone: string): void {
    this.heard.push({ event: 'dtmf', tone });
  }
  onPlaybackStarted(answerId: string): void {
    this.heard.push({ event: 'started', answerId, atMs: this.#clock.monotonicMs() });
  }
  onPlaybackEnded(answerId: string, playedMs: number, stopped: boolean): void {
    this.heard.push({ event: 'ended', answerId, playedMs, stopped, atMs: this.#clock.monotonicMs() });
  }
  onMustClose(reason: string): void {
    this.heard.push({ event: 'mustClose', reason });
  }

  of<E extends Heard['event']>(event: E): Extract<Heard, { event: E }>[] {
    return this.heard.filter((entry): entry is Extract<Heard, { event: E }> => entry.event === event);
  }
}

/** Clock, registry and pacer as a worker process has them once. */
export function mediaProcess(): { clock: ManualClock; registry: Registry; metrics: MediaMetrics; pacer: Pacer } {
  const clock = new ManualClock();
  const registry = createRegistry({ processMetrics: false });
  const metrics = new MediaMetrics(registry);
  return { clock, registry, metrics, pacer: new Pacer({ clock, metrics, log: silentLog }) };
}

/** The value of one series, 0 when it has none. */
export async function metric(registry: Registry, name: string, labels: Record<string, string> = {}): Promise<number> {
  const family = (await registry.getMetricsAsJSON()).find((candidate) => candidate.name === name);
  const values = (family?.values ?? []) as { value: number; labels: Record<string, unknown> }[];
  return (
    values.find((entry) => Object.entries(labels).every(([key, value]) => String(entry.labels[key]) === value))
      ?.value ?? 0
  );
}
