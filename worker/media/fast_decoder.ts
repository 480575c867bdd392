/** What the fast path made of a message. `declined`: not the one form it knows; says nothing about whether the message is good. */
export const DECLINED = 0;
/** One frame, decoded, and not marked silent. */
export const AUDIBLE = 1;
/** One frame, decoded, and marked `"silent":true`. */
export const SILENT = 2;
export type FastResult = typeof DECLINED | typeof AUDIBLE | typeof SILENT;

const HEAD = Buffer.from('{"kind":"AudioData","audioData":{');
const DATA_KEY = Buffer.from('"data":"');
const TIMESTAMP_KEY = Buffer.from('"timestamp":"');
const TAIL_AUDIBLE = Buffer.from('","silent":false}}');
const TAIL_SILENT = Buffer.from('","silent":true}}');
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const MAX_PREFIX_BYTES = 1024;

/**
 * Decodes the one byte sequence in which ACS writes its 50 frames a second, without JSON.parse and without garbage beyond one short
 * string: `{"kind":"AudioData","audioData":{` string fields `"data":"<base64 of exactly one frame>","silent":<bool>}}`.
 * Everything it accepts is judged byte by byte, so that the result cannot differ from what a JSON parser gives; in doubt it declines.
 *
 * What comes before the base64 text changes only in its timestamp from frame to frame. The bytes of the last frame are kept, and a
 * frame that equals them (the offset hint) skips the walk over its fields.
 */
export class FastDecoder {
  readonly #frameBytes: number;
  readonly #base64Chars: number;
  readonly #padding: number;
  readonly #prefix = new Uint8Array(MAX_PREFIX_BYTES);
  #dataAt = 0;
  /** Where the value of `timestamp` stands in the prefix; empty when there is none. */
  #timestampAt = 0;
  #timestampEnd = 0;

  constructor(frameBytes: number) {
    this.#frameBytes = frameBytes;
    this.#base64Chars = Math.ceil(frameBytes / 3) * 4;
    this.#padding = (3 - (frameBytes % 3)) % 3;
  }

  /** Writes one frame's PCM to `target` at `offset`, which must have room for it; on DECLINED the bytes there are undefined. */
  decode(message: ArrayBuffer, target: Buffer, offset: number): FastResult {
    const bytes = Buffer.from(message);
    // the kind first: DtmfData and AudioMetadata look alike further on
    if (bytes[9] !== 0x41 || bytes[14] !== 0x44) return DECLINED;
    const silent = bytes[bytes.length - 4] === 0x75; // the u of true
    const tail = silent ? TAIL_SILENT : TAIL_AUDIBLE;
    const end = bytes.length - tail.length;
    const start = end - this.#base64Chars;
    if (start <= HEAD.length || start > MAX_PREFIX_BYTES || !matches(bytes, end, tail)) return DECLINED;
    if (start !== this.#dataAt || !this.#samePrefix(bytes)) {
      if (!this.#learnPrefix(bytes, start)) return DECLINED;
    }
    if (!this.#paddingFits(bytes, end)) return DECLINED;
    // Any byte that is no base64 (a quote, a backslash, a space) is skipped by the decoder and leaves the frame too short.
    const written = target.write(bytes.toString('latin1', start, end), offset, this.#frameBytes, 'base64');
    if (written !== this.#frameBytes) return DECLINED;
    return silent ? SILENT : AUDIBLE;
  }

  #samePrefix(bytes: Buffer): boolean {
    const prefix = this.#prefix;
    let i = 0;
    for (const end = this.#timestampAt; i < end; i++) if (bytes[i] !== prefix[i]) return false;
    // digits, signs, T and Z lie in one range that holds neither quote, backslash nor control characters
    for (const end = this.#timestampEnd; i < end; i++) if (((bytes[i] as number) - 0x2b) >>> 0 > 0x2f) return false;
    for (const end = this.#dataAt; i < end; i++) if (bytes[i] !== prefix[i]) return false;
    return true;
  }

  /** Walks over the string fields before `data`; true when they end exactly at `start`. */
  #learnPrefix(bytes: Buffer, start: number): boolean {
    this.#dataAt = 0;
    if (!matches(bytes, 0, HEAD)) return false;
    let timestampAt = 0;
    let timestampEnd = 0;
    let at = HEAD.length;
    while (!matches(bytes, at, DATA_KEY)) {
      const nameEnd = plainString(bytes, at, start);
      if (nameEnd < 0 || bytes[nameEnd] !== COLON) return false;
      const valueEnd = plainString(bytes, nameEnd + 1, start);
      if (valueEnd < 0 || bytes[valueEnd] !== COMMA) return false;
      if (matches(bytes, at, TIMESTAMP_KEY)) {
        timestampAt = nameEnd + 2;
        timestampEnd = valueEnd - 1;
      }
      at = valueEnd + 1;
    }
    if (at + DATA_KEY.length !== start) return false;
    this.#prefix.set(bytes.subarray(0, start));
    this.#dataAt = start;
    this.#timestampAt = timestampAt;
    this.#timestampEnd = timestampEnd;
    return true;
  }

  #paddingFits(bytes: Buffer, end: number): boolean {
    for (let i = 1; i <= this.#padding; i++) if (bytes[end - i] !== EQUALS) return false;
    return bytes[end - 1 - this.#padding] !== EQUALS;
  }
}

/** End of the JSON string that begins at `at`, behind its closing quote; -1 unless it is plain ASCII without escapes and ends before `limit`. */
function plainString(bytes: Buffer, at: number, limit: number): number {
  if (bytes[at] !== QUOTE) return -1;
  for (let i = at + 1; i < limit; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) return i + 1;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1;
  }
  return -1;
}

function matches(bytes: Buffer, at: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}
