import { LEGACY_TOO_LARGE, LEGACY_UNREADABLE } from './errors.ts';

/**
 * JSON of an older key, `where` names it (key and field). Rejected: text that is not JSON (NaN and Infinity, which the older writer
 * could produce, are not), and nesting beyond `maxDepth`, which would end every later JSON.stringify with a RangeError.
 * Empty text and `null` were the older writer's "nothing" and read as undefined.
 */
export function parseLegacyJson(text: string, where: string, maxDepth: number): unknown {
  if (text.trim() === '') return undefined;
  if (isDeeperThan(text, maxDepth)) throw LEGACY_TOO_LARGE.with(`${where}: nested deeper than ${maxDepth}`);
  try {
    return parseExactly(text) ?? undefined;
  } catch {
    // The parser's message quotes the text, which may be a transcript.
    throw LEGACY_UNREADABLE.with(`${where}: not JSON`);
  }
}

/** The JSON value, or the text itself when it is none: for fields of which nobody knows what they hold. */
export function jsonOrText(text: string, maxDepth: number): unknown {
  if (isDeeperThan(text, maxDepth)) return text;
  try {
    return parseExactly(text);
  } catch {
    return text;
  }
}

const LONG_NUMBER = /\d{16}/;

/** A whole number that a double cannot hold (the older writer had no such bound) becomes its digits as text instead of another number. */
function parseExactly(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  const exactly = (_name: string, value: unknown, { source = '' }: { source?: string } = {}): unknown =>
    typeof value === 'number' && /^-?\d+$/.test(source) && String(value) !== source ? source : value;
  return JSON.parse(text, exactly as (name: string, value: unknown) => unknown);
}

/** Counts brackets outside of strings, so that no parser has to go down first. */
function isDeeperThan(text: string, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (inString) {
      if (character === 0x5c) at += 1;
      else if (character === 0x22) inString = false;
    } else if (character === 0x22) inString = true;
    else if (character === 0x7b || character === 0x5b) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (character === 0x7d || character === 0x5d) depth -= 1;
  }
  return false;
}
