import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../platform/json.ts';
import { LEGACY_MEMBER } from './context.ts';
import { convertLegacy } from './convert.ts';
import { LEGACY_LIMITS } from './limits.ts';
import { type FlatConversation, flatConversation, sourceOf } from './testing.ts';

const shuffled = ({ id, keys }: FlatConversation): FlatConversation => ({
  id,
  keys: keys.map((each) =>
    'hash' in each ? { ...each, hash: Object.fromEntries(Object.entries(each.hash).reverse()) } : each,
  ),
});

test('the same keys always give the same bytes, in whatever order a server gives their fields', () => {
  fc.assert(
    fc.property(flatConversation(), (flat) => {
      const records = JSON.stringify(convertLegacy(sourceOf(flat), LEGACY_LIMITS));
      assert.equal(JSON.stringify(convertLegacy(sourceOf(structuredClone(flat)), LEGACY_LIMITS)), records);
      assert.equal(JSON.stringify(convertLegacy(sourceOf(shuffled(flat)), LEGACY_LIMITS)), records);
    }),
  );
});

test('everything that was written is in the records', () => {
  fc.assert(
    fc.property(flatConversation(), (flat) => {
      const { conversation, faults } = convertLegacy(sourceOf(flat), LEGACY_LIMITS);
      assert.ok(conversation && faults.length === 0);
      const { history, context, session } = conversation;
      assert.deepEqual(
        history.map(({ seq }) => seq),
        history.map((_, at) => at + 1),
      );
      assert.equal(session.nextSeq, history.length + 1);
      const kept = new Set(
        history.map(({ agent, text, legacy }) => canonical([agent, legacy?.content ?? text, legacy?.members])),
      );
      for (const { agent, entry } of entriesOf(flat)) {
        const { role: _role, content, timestamp: _timestamp, ...members } = entry;
        const own = Object.keys(members).length > 0 ? members : undefined;
        assert.ok(content === null || kept.has(canonical([agent, content, own])), JSON.stringify(entry));
      }
      const legacy = context[LEGACY_MEMBER] as { overridden?: object; members?: unknown[] } | undefined;
      const overridden = new Map(Object.entries(legacy?.overridden ?? {}));
      for (const [name, value] of membersOf(flat)) {
        const places =
          name === LEGACY_MEMBER
            ? (legacy?.members ?? [])
            : [Object.entries(context).find(([each]) => each === name)?.[1], ...(overridden.get(name) ?? [])];
        assert.ok(
          places.some((place) => canonical(place) === canonical(value)),
          name,
        );
      }
    }),
  );
});

type Entry = { role: string; content: unknown; timestamp?: unknown };

function hashesOf({ keys }: FlatConversation): Record<string, string>[] {
  return keys.flatMap((each) => ('hash' in each && each.key.startsWith('session:') ? [each.hash] : []));
}

function entriesOf(flat: FlatConversation): { agent: string; entry: Entry }[] {
  const texts = hashesOf(flat).flatMap(({ history, chat_history }) => [history ?? '[]', chat_history ?? '[]']);
  return texts.flatMap((text) => {
    const value = JSON.parse(text) as Entry[] | Record<string, Entry[]>;
    const threads = Array.isArray(value) ? [['default', value] as const] : Object.entries(value);
    return threads.flatMap(([agent, entries]) => entries.map((entry) => ({ agent, entry })));
  });
}

function membersOf(flat: FlatConversation): [string, unknown][] {
  return hashesOf(flat).flatMap(({ context, corememory }) => {
    const [old, newer] = [context, corememory].map((text) => JSON.parse(text ?? '{}') as Record<string, unknown>);
    return [...Object.entries(old ?? {}), ...Object.entries(newer ?? {})];
  });
}
