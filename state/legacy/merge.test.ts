import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LegacyEntry, parseEntry } from './entries.ts';
import { LEGACY_LIMITS } from './limits.ts';
import { type LegacyThread, mergeThreads } from './merge.ts';

function said(content: string, timestamp?: number): LegacyEntry {
  return parseEntry(
    { role: 'user', content, ...(timestamp === undefined ? {} : { timestamp }) },
    'test',
    LEGACY_LIMITS,
  );
}

const thread = (agent: string, ...entries: LegacyEntry[]): LegacyThread => ({ agent, entries });
const SECOND = 1_700_000_000;

function merged(sources: LegacyThread[][], sessionMs?: number): [text: string, second: number, time?: string][] {
  return mergeThreads(sources, sessionMs).map(({ entry, atMs, time }) => {
    const second = atMs / 1000 - SECOND;
    return time === undefined ? [entry.text, second] : [entry.text, second, time];
  });
}

test('threads of agents are one history by time; at the same time the first thread comes first', () => {
  const desk = thread('Desk', said('a', SECOND + 1), said('d', SECOND + 5));
  const claims = thread('Claims', said('b', SECOND + 1), said('c', SECOND + 3));
  assert.deepEqual(merged([[desk, claims]]), [
    ['a', 1],
    ['b', 1],
    ['c', 3],
    ['d', 5],
  ]);
});

test('a missing stamp is that of the entry before, at the beginning that of the next one', () => {
  const one = thread('One', said('a'), said('b', SECOND + 2), said('c'), said('d', SECOND + 9));
  const two = thread('Two', said('x', SECOND + 3));
  assert.deepEqual(merged([[one, two]]), [
    ['a', 2, 'neighbour'],
    ['b', 2],
    ['c', 2, 'neighbour'],
    ['x', 3],
    ['d', 9],
  ]);
});

test('a thread without any stamp has the time of the session, else none', () => {
  const one = thread('One', said('a'), said('b'));
  assert.deepEqual(merged([[one]], (SECOND + 4) * 1000), [
    ['a', 4, 'session'],
    ['b', 4, 'session'],
  ]);
  assert.deepEqual(merged([[one]]), [
    ['a', -SECOND, 'unknown'],
    ['b', -SECOND, 'unknown'],
  ]);
});

test('what two hashes have in common stands once, and what each went on with is kept', () => {
  const call = thread('Desk', said('a', SECOND), said('b'), said('only in the call', SECOND + 2));
  const media = thread(
    'Desk',
    said('a', SECOND),
    said('b', SECOND + 1),
    said('only in the media', SECOND + 3),
    said('again'),
  );
  assert.deepEqual(merged([[call], [media]]), [
    ['a', 0],
    ['b', 1],
    ['only in the call', 2],
    ['only in the media', 3],
    ['again', 3, 'neighbour'],
  ]);
});

test('the same words at another time are not the same entry', () => {
  assert.equal(merged([[thread('A', said('yes', SECOND))], [thread('A', said('yes', SECOND + 1))]]).length, 2);
});

test('no entry is lost or moved within its thread, whatever the stamps are', () => {
  const stamped = fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 10 });
  fc.assert(
    fc.property(fc.array(stamped, { maxLength: 4 }), (stamps) => {
      const threads = stamps.map((each, index) =>
        thread(
          `t${index}`,
          ...each.map((at, place) => said(`${index}/${place}`, at === undefined ? undefined : SECOND + at)),
        ),
      );
      const texts = mergeThreads([threads], undefined);
      for (const { agent, entries } of threads) {
        const own = texts.filter((each) => each.agent === agent).map(({ entry }) => entry.text);
        assert.deepEqual(
          own,
          entries.map((entry) => entry.text),
        );
      }
      assert.equal(texts.length, stamps.flat().length);
    }),
  );
});
