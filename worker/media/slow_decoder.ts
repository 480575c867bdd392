import { base64Bytes, decodeBase64 } from './base64.ts';

/** Why a message was dropped. Each is counted; those of `MALFORMED` also count towards closing the socket. */
export const DROP_REASONS = {
  tooLarge: 'longer than any message ACS sends',
  badJson: 'not a JSON object in UTF-8',
  badMetadata: 'AudioMetadata without a usable sample rate or encoding',
  badAudio: 'AudioData without a base64 text in its data',
  badBase64: 'the data is not padded base64',
  emptyAudio: 'no audio in the frame',
  oddAudio: 'an odd number of PCM bytes',
  badDtmf: 'DtmfData without one of the sixteen tones',
  unknownKind: 'a kind this version does not know; ignored, as newer services may add some',
} as const;
export type DropReason = keyof typeof DROP_REASONS;

export type MediaMessage =
  | { kind: 'audio'; pcm: Int16Array; silent: boolean }
  | { kind: 'metadata'; sampleRateHertz: number; subscriptionId: string }
  | { kind: 'dtmf'; tone: string }
  | { kind: 'dropped'; why: DropReason };

const MAX_MESSAGE_BYTES = 64 * 1024;
const TONE = /^[0-9*#A-D]$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const dropped = (why: DropReason): MediaMessage => ({ kind: 'dropped', why });

/**
 * Decodes any message of the media socket by JSON.parse: all kinds, names in any letter case (services and SDKs differ), any frame
 * length. A name in the documented case wins over its variants. Never throws.
 */
export function decodeMessage(message: ArrayBuffer): MediaMessage {
  if (message.byteLength > MAX_MESSAGE_BYTES) return dropped('tooLarge');
  const root = parseObject(message);
  if (!root) return dropped('badJson');
  const kind = field(root, 'kind');
  switch (typeof kind === 'string' ? kind.toLowerCase() : undefined) {
    case 'audiodata':
      return audio(field(root, 'audioData'));
    case 'audiometadata':
      return metadata(field(root, 'audioMetadata'));
    case 'dtmfdata':
      return dtmf(field(root, 'dtmfData'));
    default:
      return dropped(typeof kind === 'string' ? 'unknownKind' : 'badJson');
  }
}

function audio(body: unknown): MediaMessage {
  const text = field(body, 'data');
  if (typeof text !== 'string') return dropped('badAudio');
  const length = base64Bytes(text);
  if (length < 0) return dropped('badBase64');
  // a pool slice may start at an odd byte, which an Int16Array cannot view
  const bytes = Buffer.allocUnsafeSlow(length);
  if (decodeBase64(text, bytes, 0) !== length) return dropped('badBase64');
  if (length === 0) return dropped('emptyAudio');
  if (length % 2 !== 0) return dropped('oddAudio');
  return { kind: 'audio', pcm: new Int16Array(bytes.buffer, 0, length / 2), silent: field(body, 'silent') === true };
}

function metadata(body: unknown): MediaMessage {
  const rate = field(body, 'sampleRate');
  const encoding = field(body, 'encoding');
  const subscription = field(body, 'subscriptionId');
  if (typeof rate !== 'number' || !(rate > 0) || typeof encoding !== 'string' || encoding.toUpperCase() !== 'PCM') {
    return dropped('badMetadata');
  }
  const subscriptionId = typeof subscription === 'string' ? subscription.slice(0, 128) : '';
  return { kind: 'metadata', sampleRateHertz: rate, subscriptionId };
}

function dtmf(body: unknown): MediaMessage {
  const data = field(body, 'data');
  const tone = typeof data === 'string' ? data.toUpperCase() : '';
  return TONE.test(tone) ? { kind: 'dtmf', tone } : dropped('badDtmf');
}

function parseObject(message: ArrayBuffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(message));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // counted by the caller as badJson; a parser's text could quote what was said
  }
}

function field(body: unknown, name: string): unknown {
  if (!isObject(body)) return undefined;
  if (Object.hasOwn(body, name)) return body[name];
  const lower = name.toLowerCase();
  const variant = Object.keys(body).find((key) => key.toLowerCase() === lower);
  return variant === undefined ? undefined : body[variant];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
