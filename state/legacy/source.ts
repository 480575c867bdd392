import { createHash } from 'node:crypto';
import type { LegacyKeyKind } from './key_names.ts';

/** What one flat key held when it was read, each text valid UTF-8. */
export interface LegacyValue {
  readonly key: string;
  readonly kind: LegacyKeyKind;
  readonly bytes: number;
  readonly value:
    | { readonly type: 'hash'; readonly fields: ReadonlyMap<string, string> }
    | { readonly type: 'string'; readonly text: string }
    | { readonly type: 'list'; readonly items: readonly string[] };
}

/** A flat key that cannot be migrated and why; holds no content. */
export interface LegacyFault {
  readonly key: string;
  readonly code: string;
  readonly reason: string;
}

/** Everything of one call or conversation under the flat keys. */
export interface LegacySource {
  readonly id: string;
  /** The browser's session id, when the call is mapped to one. */
  readonly sessionId: string | undefined;
  readonly values: readonly LegacyValue[];
  readonly faults: readonly LegacyFault[];
}

/** Tells whether an older system has written since: the same for the same value, in whatever order Redis gives its fields. */
export function digestOf({ value }: LegacyValue): string {
  const hash = createHash('sha256');
  const add = (text: string) => hash.update(`${text.length}:`).update(text);
  add(value.type);
  if (value.type === 'string') add(value.text);
  else if (value.type === 'list') for (const item of value.items) add(item);
  else for (const pair of sortedFields(value.fields)) for (const text of pair) add(text);
  return hash.digest('base64url').slice(0, 22);
}

/** By name: the order in which a server gives the fields of a hash may be another one after a restart. */
export function sortedFields(fields: ReadonlyMap<string, string>): [name: string, text: string][] {
  return [...fields].sort(([a], [b]) => (a < b ? -1 : 1));
}
