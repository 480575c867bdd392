const HEAD = '{"kind":"AudioData","audioData":{"data":"';
const TAIL = '"}}';

/** Tells ACS to drop what it still has queued. */
export const STOP_AUDIO = '{"kind":"StopAudio","audioData":null,"stopAudio":{}}';

/** Writes outbound frames of one length into one reused buffer: head and tail stay, only the base64 text changes. */
export class FrameEncoder {
  readonly #frameBytes: number;
  readonly #message: Buffer;

  constructor(frameBytes: number) {
    this.#frameBytes = frameBytes;
    const chars = Math.ceil(frameBytes / 3) * 4;
    this.#message = Buffer.from(HEAD + 'A'.repeat(chars) + TAIL, 'latin1');
  }

  /** The message for one frame of PCM at `offset`; valid until the next call. */
  encode(pcm: Buffer, offset: number): Uint8Array {
    this.#message.write(pcm.toString('base64', offset, offset + this.#frameBytes), HEAD.length, 'latin1');
    return this.#message;
  }
}
