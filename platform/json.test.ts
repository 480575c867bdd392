import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonical, defined } from './json.ts';

describe('JSON', () => {
  it('is the same text whatever the order of names, and another one for another content', () => {
    const one = { b: [1, { d: null, c: 'x' }], a: 2, gone: undefined };
    assert.equal(canonical(one), '{"a":2,"b":[1,{"c":"x","d":null}]}');
    assert.equal(canonical({ a: 2, b: [1, { c: 'x', d: null }] }), canonical(one));
    assert.notEqual(canonical({ a: 2, b: [{ c: 'x', d: null }, 1] }), canonical(one));
  });

  it('leaves out what has no value, and nothing else', () => {
    assert.deepEqual(Object.keys(defined({ a: undefined, b: 0, c: '', d: null, e: false })), ['b', 'c', 'd', 'e']);
  });
});
