import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineError, errorCatalogue, errorCode, RtvoiceError } from './errors.ts';

const SAMPLE = defineError('ERR_SAMPLE_OF_TEST', { status: 418, message: 'no coffee', remedy: 'Take tea.' });

test('an error carries its code, status, remedy, detail and cause', () => {
  const cause = new Error('cold');
  const error = SAMPLE.with('pot 3', cause);
  assert.ok(error instanceof RtvoiceError && error instanceof Error);
  assert.equal(error.message, 'no coffee: pot 3');
  assert.deepEqual(
    [error.code, error.status, error.remedy, error.detail],
    ['ERR_SAMPLE_OF_TEST', 418, 'Take tea.', 'pot 3'],
  );
  assert.equal(error.cause, cause);
});

test('without detail and cause there is neither', () => {
  const error = SAMPLE.with();
  assert.equal(error.message, 'no coffee');
  assert.equal('cause' in error, false);
});

test('an answer carries code, message and remedy, and not the cause', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(SAMPLE.with('pot 3', new Error('secret')))), {
    code: 'ERR_SAMPLE_OF_TEST',
    message: 'no coffee: pot 3',
    remedy: 'Take tea.',
  });
});

test('a code is defined once', () => {
  assert.throws(() => defineError('ERR_SAMPLE_OF_TEST', { status: 1, message: '', remedy: '' }), /defined twice/);
});

test('the catalogue is sorted and holds what was defined', () => {
  const codes = errorCatalogue().map(({ code }) => code);
  assert.ok(codes.includes('ERR_SAMPLE_OF_TEST'));
  assert.deepEqual(
    codes,
    [...codes].sort((a, b) => a.localeCompare(b)),
  );
});

test('any thrown value has a code for metrics', () => {
  assert.equal(errorCode(SAMPLE.with()), 'ERR_SAMPLE_OF_TEST');
  assert.equal(errorCode(Object.assign(new Error('x'), { code: 'ECONNRESET' })), 'ECONNRESET');
  assert.equal(errorCode(new TypeError('x')), 'TypeError');
  for (const odd of ['text', undefined, null, 7, { code: 3 }]) assert.equal(errorCode(odd), 'UNKNOWN');
});
