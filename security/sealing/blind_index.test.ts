import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { createBlindIndex, normalIdentifier } from './blind_index.ts';

test('all ways to write a number are one caller', () => {
  const ways = ['4:+15550100', '+15550100', ' +1 555 0100 ', '+1 (555) 01-00', '0015550100', '4:+1.555.0100'];
  assert.deepEqual(new Set(ways.map(normalIdentifier)), new Set(['4:+15550100']));
  assert.equal(normalIdentifier('8:acs:A-b_C'), '8:acs:A-b_C');
});

test('who withholds their number has no pseudonym of their own', () => {
  for (const name of ['', '  ', '4:anonymous', 'Anonymous', '4:Unavailable'])
    assert.equal(createBlindIndex(['k'.repeat(16)]).of(name), undefined, name);
  const index = createBlindIndex(['k'.repeat(16)]);
  assert.notEqual(index.ofCall('call-1'), index.ofCall('call-2'));
});

test('the pseudonym is the one that profiles have had, and tells nothing without the key', () => {
  const index = createBlindIndex(['key of before']);
  const before = createHmac('sha256', 'key of before').update('4:+15550100').digest('hex').slice(0, 32);
  assert.equal(index.of('+1 555 0100'), `u-${before}`);
  assert.notEqual(createBlindIndex(['another key']).of('+15550100'), index.of('+15550100'));
});

test('while keys overlap the newest is written and all are looked up', () => {
  const [old, both] = [createBlindIndex(['old key']), createBlindIndex(['new key', 'old key'])];
  assert.deepEqual(both.all('+15550100'), [both.of('+15550100'), old.of('+15550100')]);
  assert.notEqual(both.of('+15550100'), old.of('+15550100'));
});
