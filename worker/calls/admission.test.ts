import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AdmissionView, refusesHandOff, refusesNewCalls, refusesUnreplicated } from './admission.ts';

const view = (changes: Partial<AdmissionView> = {}): AdmissionView => ({
  draining: false,
  stopping: false,
  liveCalls: 3,
  slots: 8,
  hardSlotLimit: 12,
  memoryBytes: 100,
  memoryLimitBytes: 1000,
  redisFull: false,
  spoolFull: false,
  redisAvailable: true,
  redisUnavailableForMs: 0,
  unreplicatedGraceMs: 30_000,
  ...changes,
});

test('a worker with room admits', () => {
  assert.equal(refusesNewCalls(view()), undefined);
  assert.equal(refusesUnreplicated(view()), undefined);
});

test('the first reason that holds is named', () => {
  assert.equal(refusesNewCalls(view({ draining: true, memoryBytes: 900 })), 'draining');
  assert.equal(refusesNewCalls(view({ memoryBytes: 851 })), 'memory');
  assert.equal(refusesNewCalls(view({ memoryBytes: 850 })), undefined);
  assert.equal(refusesNewCalls(view({ liveCalls: 8 })), undefined);
});

test('while Redis is away rings are taken for the grace time only, and only into free slots', () => {
  const away = { redisAvailable: false, redisUnavailableForMs: 10_000 };
  assert.equal(refusesUnreplicated(view(away)), undefined);
  assert.equal(refusesUnreplicated(view({ ...away, liveCalls: 8 })), 'slots');
  assert.equal(refusesUnreplicated(view({ ...away, redisUnavailableForMs: 30_001 })), 'redisAway');
  assert.equal(refusesUnreplicated(view({ ...away, draining: true })), 'draining');
});

test('a placed call is taken by a full or draining worker up to the hard limit', () => {
  assert.equal(refusesHandOff(view({ draining: true, liveCalls: 11 })), undefined);
  assert.equal(refusesHandOff(view({ liveCalls: 12 })), 'slots');
  assert.equal(refusesHandOff(view({ stopping: true })), 'stopping');
});
