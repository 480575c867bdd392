import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { choice, flag, keyList, loadConfig, optionalText, setting, text, url, whole } from './config.ts';
import { describeValue, effectiveConfig } from './config_text.ts';
import { RtvoiceError } from './errors.ts';

const SETTINGS = {
  port: setting({ env: 'RTVOICE_PORT', description: 'Port.', schema: whole(1, 65_535), default: '8080' }),
  name: setting({ env: 'RTVOICE_NAME', description: 'Name.', schema: text }),
  mode: setting({ env: 'RTVOICE_MODE', description: 'Mode.', schema: choice('a', 'b'), default: 'a' }),
  debug: setting({ env: 'RTVOICE_DEBUG', description: 'Debug.', schema: flag, default: 'false' }),
  peer: setting({ env: 'RTVOICE_PEER', description: 'Peer.', schema: optionalText, default: '-' }),
  home: setting({ env: 'RTVOICE_HOME', description: 'Home.', schema: url, default: 'http://a.example' }),
  keys: setting({ env: 'RTVOICE_KEYS', description: 'Keys.', schema: keyList, secret: true }),
};
const KEY = 'k'.repeat(16);
const GOOD = { RTVOICE_NAME: 'n', RTVOICE_KEYS: KEY };

function faultOf(env: Record<string, string>): string {
  try {
    loadConfig(SETTINGS, env);
  } catch (error) {
    assert.ok(error instanceof RtvoiceError);
    assert.equal(error.code, 'ERR_CONFIG_INVALID');
    return error.message;
  }
  return assert.fail('the configuration was taken as valid');
}

test('defaults fill what is not set, and what is set becomes a value of its type', () => {
  assert.deepEqual(
    { ...loadConfig(SETTINGS, { ...GOOD, RTVOICE_DEBUG: 'true', RTVOICE_PEER: 'p' }) },
    { port: 8080, name: 'n', mode: 'a', debug: true, peer: 'p', home: 'http://a.example', keys: [KEY] },
  );
  assert.equal(loadConfig(SETTINGS, GOOD).peer, undefined);
});

test('an empty variable counts as not set', () => {
  assert.equal(loadConfig(SETTINGS, { ...GOOD, RTVOICE_PORT: '' }).port, 8080);
  assert.match(faultOf({ ...GOOD, RTVOICE_NAME: '' }), /RTVOICE_NAME is not set/);
});

test('the result cannot be changed', () => {
  const config = loadConfig(SETTINGS, GOOD) as { port: number };
  assert.throws(() => {
    config.port = 1;
  }, TypeError);
});

test('all faults are told at once, each with its variable', () => {
  const fault = faultOf({ RTVOICE_PORT: 'x', RTVOICE_MODE: 'c', RTVOICE_KEYS: 'short' });
  for (const name of ['RTVOICE_PORT', 'RTVOICE_NAME', 'RTVOICE_MODE', 'RTVOICE_KEYS'])
    assert.ok(fault.includes(name), fault);
});

const REFUSED: readonly [variable: string, value: string][] = [
  ['RTVOICE_PORT', '0'],
  ['RTVOICE_PORT', '65536'],
  ['RTVOICE_PORT', '1.5'],
  ['RTVOICE_PORT', '-1'],
  ['RTVOICE_PORT', '1e3'],
  ['RTVOICE_PORT', ' 80'],
  ['RTVOICE_DEBUG', 'yes'],
  ['RTVOICE_MODE', 'A'],
  ['RTVOICE_HOME', 'a.example'],
  ['RTVOICE_KEYS', ','],
  ['RTVOICE_KEYS', `${KEY},short`],
  ['RTVOICE_KEYS', Array(5).fill(KEY).join(',')],
];
for (const [variable, value] of REFUSED) {
  test(`refused: ${variable}=${JSON.stringify(value)}`, () => {
    assert.match(faultOf({ ...GOOD, [variable]: value }), new RegExp(`${variable}: `));
  });
}

test('a secret never stands in a fault', () => {
  assert.doesNotMatch(faultOf({ ...GOOD, RTVOICE_KEYS: 'hunter2' }), /hunter2/);
});

test('a list of keys keeps its order and drops blanks', () => {
  const other = 'o'.repeat(20);
  assert.deepEqual(loadConfig(SETTINGS, { ...GOOD, RTVOICE_KEYS: ` ${other} , ,${KEY}` }).keys, [other, KEY]);
});

test('a whole number inside its bounds is that number, anything else is refused', () => {
  const schema = whole(10, 1_000);
  fc.assert(
    fc.property(fc.integer({ min: -2_000, max: 2_000 }), (value) => {
      const parsed = schema.safeParse(String(value));
      assert.equal(parsed.success, value >= 10 && value <= 1_000);
      if (parsed.success) assert.equal(parsed.data, value);
    }),
  );
});

test('what may be written is told in words', () => {
  const words = Object.values(SETTINGS).map((one) => describeValue(one));
  assert.deepEqual(words, [
    'whole number, 1 to 65535',
    'text',
    '`a`, `b`',
    '`true`, `false`',
    'text',
    'URL',
    '1 to 4 texts of at least 16 characters, separated by commas',
  ]);
});

test('the configuration in effect shows values and their origin, and no secret', () => {
  const lines = effectiveConfig(SETTINGS, {
    RTVOICE_PORT: '81',
    RTVOICE_KEYS: KEY,
    RTVOICE_HOME: 'http://u:pw@h/',
  }).split('\n');
  assert.deepEqual(lines, [
    'RTVOICE_PORT=81',
    'RTVOICE_NAME (unset)',
    'RTVOICE_MODE=a (default)',
    'RTVOICE_DEBUG=false (default)',
    'RTVOICE_PEER=- (default)',
    'RTVOICE_HOME=http://[hidden]@h/',
    'RTVOICE_KEYS=[hidden]',
  ]);
});
