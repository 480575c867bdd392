import { canonical } from '../../platform/json.ts';
import type { SessionPayload } from './payload.ts';

/**
 * Member of a migrated context that holds what has no place of its own. Each part is there only when it has something:
 * `overridden`: earlier values of members that a later hash or field has with another value (the media handler's hash is later than the
 * event processor's, `corememory` than `context`);
 * `fields`: fields of a hash that no generation has, by hash;
 * `callSession`: what stood under `call:{id}:session`;
 * `settings`: what stood in strings of the call (`call_stream_mode`, `call_recording_preference`);
 * `sessionId`: the browser's session id;
 * `members`: members of the context that were called `legacy` themselves;
 * `archived`: members that went to the archive because the context was too large, with their characters.
 */
export const LEGACY_MEMBER = 'legacy';

export interface ContextParts {
  /** In the order of age: a later one overrides. */
  readonly sessions: readonly { readonly name: string; readonly payload: SessionPayload }[];
  readonly callSession: unknown;
  readonly settings: Record<string, unknown>;
  readonly sessionId: string | undefined;
}

/** One context of all hashes; nothing is dropped, see {@link LEGACY_MEMBER}. */
export function mergeContexts(parts: ContextParts): Record<string, unknown> {
  const merged = new Map<string, unknown>();
  const overridden = new Map<string, unknown[]>();
  const own: unknown[] = [];
  for (const context of parts.sessions.flatMap(({ payload }) => payload.contexts)) {
    for (const [name, value] of Object.entries(context)) {
      if (name === LEGACY_MEMBER) {
        own.push(value);
        continue;
      }
      if (merged.has(name) && canonical(merged.get(name)) !== canonical(value)) {
        overridden.set(name, [...(overridden.get(name) ?? []), merged.get(name)]);
      }
      merged.set(name, value);
    }
  }
  const fields = parts.sessions.flatMap(({ name, payload }) =>
    Object.keys(payload.fields).length > 0 ? [[name, payload.fields] as const] : [],
  );
  const legacy = {
    ...(overridden.size > 0 ? { overridden: Object.fromEntries(overridden) } : {}),
    ...(fields.length > 0 ? { fields: Object.fromEntries(fields) } : {}),
    ...(parts.callSession === undefined ? {} : { callSession: parts.callSession }),
    ...(Object.keys(parts.settings).length > 0 ? { settings: parts.settings } : {}),
    ...(parts.sessionId === undefined ? {} : { sessionId: parts.sessionId }),
    ...(own.length > 0 ? { members: own } : {}),
  };
  if (Object.keys(legacy).length > 0) merged.set(LEGACY_MEMBER, legacy);
  return Object.fromEntries(merged);
}

/** What a context keeps, and members that are too much for it, as JSON texts. */
export interface FittedContext {
  readonly context: Record<string, unknown>;
  readonly archived: readonly { readonly name: string; readonly json: string }[];
}

/**
 * A context of at most `maxLength` characters: the largest members leave first (of equal ones the first by name). They were figures in
 * every older system that had such contexts (`latency`: 200 runs of 200 samples each).
 */
export function fitContext(context: Record<string, unknown>, maxLength: number): FittedContext {
  if (JSON.stringify(context).length <= maxLength) return { context, archived: [] };
  const members = Object.entries(context).map(([name, value]) => ({ name, value, json: JSON.stringify(value) }));
  const bySize = [...members].sort((a, b) => b.json.length - a.json.length || (a.name < b.name ? -1 : 1));
  // What is left of `legacy` and the list of what has left it are small; a quarter is theirs.
  const budget = Math.floor((maxLength * 3) / 4);
  let length = members.reduce((sum, { name, json }) => sum + JSON.stringify(name).length + json.length + 2, 2);
  const leaving = new Set<string>();
  for (const { name, json } of bySize) {
    if (length <= budget) break;
    leaving.add(name);
    length -= JSON.stringify(name).length + json.length + 2;
  }
  const archived = bySize.filter(({ name }) => leaving.has(name)).map(({ name, json }) => ({ name, json }));
  const kept = members.filter(({ name }) => !leaving.has(name)).map(({ name, value }) => [name, value] as const);
  const before = leaving.has(LEGACY_MEMBER) ? {} : (context[LEGACY_MEMBER] as Record<string, unknown> | undefined);
  // Names are free text: beyond forty only their number is told here, the archive has them all.
  const named = archived.slice(0, 40).map(({ name, json }) => ({ name: name.slice(0, 60), characters: json.length }));
  const legacy = { ...before, archived: { count: archived.length, members: named } };
  return {
    context: Object.fromEntries([...kept.filter(([name]) => name !== LEGACY_MEMBER), [LEGACY_MEMBER, legacy]]),
    archived,
  };
}
