import { createHash } from 'node:crypto';
import { isObject } from '../envelope.ts';

/** Of the clear content with its members in order, so that it is the same after any number of readings and writings. */
export function contentHash(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body, inOrder)).digest('base64url').slice(0, 16);
}

function inOrder(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
