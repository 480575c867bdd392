import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScript } from './script.ts';

test('every kind of step is taken', () => {
  const script = [
    { kind: 'say', text: 'hello' },
    { kind: 'say', wav: '/tmp/a.wav', as: 'hello' },
    { kind: 'say', pcm: new Int16Array(320) },
    { kind: 'interrupt', afterMs: 300, text: 'stop' },
    { kind: 'dtmf', tones: '12*#', toneMs: 50 },
    { kind: 'pause', ms: 100 },
    { kind: 'waitForAnswer', timeoutMs: 1_000, repeats: 0 },
    { kind: 'waitForHangUp' },
    { kind: 'hangUp' },
  ];
  assert.deepEqual(parseScript(script), script);
});

const BAD: readonly [string, unknown, RegExp][] = [
  ['not a list', {}, /script\[\]/],
  ['unknown kind', [{ kind: 'sing' }], /script\[0\.kind\]/],
  ['unknown field', [{ kind: 'pause', ms: 1, seconds: 1 }], /script\[0\].*seconds/],
  ['no source of speech', [{ kind: 'say' }], /exactly one of text, wav and pcm/],
  ['two sources of speech', [{ kind: 'say', text: 'a', wav: 'b' }], /exactly one/],
  ['keys that no telephone has', [{ kind: 'dtmf', tones: '1x' }], /script\[0\.tones\]: only/],
  ['a pause of a day', [{ kind: 'pause', ms: 86_400_000 }], /script\[0\.ms\]/],
];

for (const [name, script, message] of BAD) {
  test(`refused, and the field is named: ${name}`, () => {
    assert.throws(() => parseScript(script), { code: 'ERR_SIMULATOR_SCRIPT', message });
  });
}
