import { VALUE_INVALID, VALUE_TOO_LARGE, VALUE_UNREADABLE } from './errors.ts';

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue | undefined };

const MAX_DEPTH = 64;

/**
 * JSON text of a value that comes back equal. What JSON would change in silence (a class, NaN, a date, undefined in an array) is
 * ERR_VALUE_INVALID with the member's path; more than `maxBytes` of UTF-8 is ERR_VALUE_TOO_LARGE. `name` stands in both.
 */
export function encodeJson(name: string, value: JsonValue, maxBytes: number): string {
  check(name, value, 0);
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw VALUE_TOO_LARGE.with(`${name}: ${bytes} of ${maxBytes} bytes`);
  return text;
}

export function decodeJson(name: string, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // The parser's message quotes the text.
    throw VALUE_UNREADABLE.with(`${name} is not JSON`);
  }
}

function check(path: string, value: unknown, depth: number): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || Object.is(value, -0)) throw VALUE_INVALID.with(`${path} is ${String(value)}`);
    return;
  }
  if (typeof value !== 'object') throw VALUE_INVALID.with(`${path} is of type ${typeof value}`);
  // A cycle is met here too: its depth has no end.
  if (depth >= MAX_DEPTH) throw VALUE_INVALID.with(`${path.slice(0, 200)}… is nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) check(`${path}[${index}]`, item, depth + 1);
    return;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw VALUE_INVALID.with(`${path} is no plain object`);
  for (const [member, item] of Object.entries(value)) {
    if (item !== undefined) check(`${path}.${member.slice(0, 80)}`, item, depth + 1);
  }
}
