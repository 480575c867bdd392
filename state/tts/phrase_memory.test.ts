import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PhraseMemory } from './phrase_memory.ts';

const phrase = (bytes: number) => new Int16Array(bytes / 2);

test('the least recently used goes first, and the bound holds', () => {
  const memory = new PhraseMemory(30);
  memory.set('a', phrase(10));
  memory.set('b', phrase(10));
  memory.set('c', phrase(10));
  assert.ok(memory.get('a'));
  memory.set('d', phrase(10));
  assert.equal(memory.get('b'), undefined);
  assert.ok(memory.get('a') && memory.get('c') && memory.get('d'));
  assert.equal(memory.bytes, 30);
});

test('what is larger than the bound is not kept, and replacing counts once', () => {
  const memory = new PhraseMemory(30);
  memory.set('a', phrase(10));
  memory.set('a', phrase(20));
  assert.equal(memory.bytes, 20);
  memory.set('a', phrase(32));
  assert.equal(memory.get('a'), undefined);
  assert.equal(memory.bytes, 0);
});
