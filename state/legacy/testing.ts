import fc from 'fast-check';
import { legacyKeys } from './key_names.ts';
import type { LegacySource, LegacyValue } from './source.ts';

/** One flat key of an older system, as a test writes it. */
export type FlatKey =
  | { key: string; hash: Record<string, string> }
  | { key: string; string: string }
  | { key: string; list: string[] };

export interface FlatConversation {
  id: string;
  keys: FlatKey[];
}

const T0 = Date.UTC(2025, 8, 4, 12);

/** Ids as they come, and as nobody should choose them. */
export const flatId: fc.Arbitrary<string> = fc.oneof(
  fc.uuid(),
  fc.stringMatching(/^session_\d{5}_[a-z0-9]{6}$/),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'a:b',
    'a:b:hist',
    '*',
    '{x}',
    'a{b}c',
    'a\r\nDEL x',
    'nul\0',
    'ａｂｃ',
    '😀',
    '-1',
    'a b',
  ),
  fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
);

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom('', '__proto__', '{"role":"user"}', 'line\r\nline', '\0', '\ud800', '😀'.repeat(20)),
);

const timestamp = fc.oneof(
  fc.nat(3_600_000).map((ms) => new Date(T0 + ms).toISOString()),
  fc.nat(3_600_000).map((ms) => new Date(T0 + ms).toISOString().replace('Z', '123')),
  fc.nat(3_600).map((seconds) => T0 / 1000 + seconds + 0.25),
  fc.nat(3_600_000).map((ms) => T0 + ms),
  fc.constantFrom(undefined, undefined, 'yesterday', null, 0, -1, 1e300),
);

const member = fc.oneof(fc.jsonValue({ maxDepth: 3 }), text) as fc.Arbitrary<unknown>;

const entry = fc.record(
  {
    role: fc.constantFrom('user', 'assistant', 'system', 'tool', 'Bot', '__proto__'),
    content: fc.oneof({ weight: 8, arbitrary: text as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: member }),
    timestamp,
    name: text,
    tool_calls: member,
  },
  { requiredKeys: ['role', 'content'] },
);

const entries = fc.array(entry, { maxLength: 12 });
const names = fc.constantFrom('FrontDesk', 'Claims', 'default', '__proto__', 'a:b', '1');
const threads = fc.uniqueArray(fc.tuple(names, entries), { selector: ([name]) => name, maxLength: 4 });
const contextName = fc.oneof(
  fc.constantFrom(
    'active_agent',
    'slots',
    'session_info',
    'call_active',
    'caller_id',
    'legacy',
    '__proto__',
    'latency',
  ),
  fc.string({ minLength: 1, maxLength: 12 }),
);
const context = fc.uniqueArray(fc.tuple(contextName, member), { selector: ([name]) => name, maxLength: 6 });

/** `Object.fromEntries` keeps a member called `__proto__` as one of its own, and JSON shows it. */
const json = (pairs: readonly (readonly [string, unknown])[]): string => JSON.stringify(Object.fromEntries(pairs));

/** The fields of a session hash, of any generation. */
const sessionHash: fc.Arbitrary<Record<string, string>> = fc.oneof(
  fc.record({ history: entries.map((each) => JSON.stringify(each)), context: context.map(json) }),
  fc.record({ chat_history: entries.map((each) => JSON.stringify(each)), corememory: context.map(json) }),
  fc.record({ chat_history: threads.map(json), corememory: context.map(json) }),
  fc.record({
    ...{ history: entries.map((each) => JSON.stringify(each)), context: context.map(json) },
    ...{ chat_history: threads.map(json), corememory: context.map(json), other: text.map((each) => each || 'x') },
  }),
);

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Every flat key that one call or conversation may have; at least its session hash. */
export function flatConversation(id: fc.Arbitrary<string> = flatId): fc.Arbitrary<FlatConversation> {
  return fc
    .record({
      id,
      main: sessionHash,
      media: optional(sessionHash),
      mapped: optional(sessionHash),
      history: optional(
        fc.oneof(
          entries.map((each) => JSON.stringify(each)),
          entries.map((each) => each.map((one) => JSON.stringify(one))),
        ),
      ),
      recording: optional(member.map((each) => JSON.stringify(each))),
      callSession: optional(fc.record({ status: text, started: text })),
      mode: optional(fc.constantFrom('media', 'transcription')),
    })
    .map(({ id: name, main, media, mapped, history, recording, callSession, mode }) => {
      const browser = `browser_${Buffer.from(name).toString('hex').slice(0, 60)}`;
      const keys: FlatKey[] = [{ key: legacyKeys.session(name), hash: main }];
      if (media) keys.push({ key: legacyKeys.mediaSession(name), hash: media });
      if (mapped) {
        keys.push({ key: legacyKeys.callMap(name), string: browser });
        keys.push({ key: legacyKeys.session(browser), hash: mapped });
      }
      if (typeof history === 'string') keys.push({ key: legacyKeys.history(name), string: history });
      else if (history && history.length > 0) keys.push({ key: legacyKeys.history(name), list: history });
      if (recording !== undefined) keys.push({ key: legacyKeys.recording(name), string: recording });
      if (callSession) keys.push({ key: legacyKeys.callSession(name), hash: callSession });
      if (mode) keys.push({ key: legacyKeys.streamMode(name), string: mode });
      return { id: name, keys };
    });
}

/** What the reader would give for these keys, without a server. */
export function sourceOf({ id, keys }: FlatConversation): LegacySource {
  const find = (key: string) => keys.find((each) => each.key === key);
  const map = find(legacyKeys.callMap(id));
  const sessionId = map && 'string' in map ? map.string : undefined;
  const kinds: [LegacyValue['kind'], string][] = [
    ['session', legacyKeys.session(id)],
    ['mediaSession', legacyKeys.mediaSession(id)],
    ['session', legacyKeys.session(sessionId ?? '')],
    ['callMap', legacyKeys.callMap(id)],
    ['history', legacyKeys.history(id)],
    ['callSession', legacyKeys.callSession(id)],
    ['recording', legacyKeys.recording(id)],
    ['streamMode', legacyKeys.streamMode(id)],
  ];
  const values = kinds.flatMap(([kind, key]) => {
    const found = find(key);
    return found ? [{ key, kind, bytes: 1, value: contentOf(found) }] : [];
  });
  return { id, sessionId, values, faults: [] };
}

function contentOf(flat: FlatKey): LegacyValue['value'] {
  if ('hash' in flat) return { type: 'hash', fields: new Map(Object.entries(flat.hash)) };
  return 'list' in flat ? { type: 'list', items: flat.list } : { type: 'string', text: flat.string };
}
