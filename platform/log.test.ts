import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { createLog, REDACTED_PATHS } from './log.ts';

function capture(): { lines: () => Record<string, unknown>[]; raw: () => string; destination: Writable } {
  let text = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return {
    destination,
    raw: () => text,
    lines: () =>
      text
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

test('a line is JSON with time, level as a word, process, message and attributes', () => {
  const { destination, lines } = capture();
  createLog({ process: 'worker', destination }).info({ callRef: 'abc' }, 'answered');
  const [line] = lines();
  assert.deepEqual(
    { ...line, time: undefined },
    { level: 'info', time: undefined, process: 'worker', callRef: 'abc', msg: 'answered' },
  );
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('lines below the level are not written', () => {
  const { destination, lines } = capture();
  const log = createLog({ process: 'worker', level: 'warn', destination });
  log.info('no');
  log.warn('yes');
  assert.deepEqual(
    lines().map(({ msg }) => msg),
    ['yes'],
  );
});

test('no redacted attribute reaches a line: at the top, inside another, through a child, in an error', () => {
  const names = [...new Set(REDACTED_PATHS.map((path) => path.split('.').at(-1) ?? ''))];
  assert.ok(names.includes('pii') && names.includes('token') && names.includes('incomingCallContext'));
  for (const name of names) {
    const { destination, raw } = capture();
    const log = createLog({ process: 'worker', destination });
    const secret = `SECRET-${name}`;
    log.info({ [name]: secret }, 'top');
    log.info({ [name]: { deep: secret } }, 'top object');
    log.info({ request: { [name]: secret } }, 'inside');
    log.child({ worker: 'w' }).info({ [name]: secret }, 'child');
    log.child({ [name]: secret }).info('bound to a child');
    log.error({ err: Object.assign(new Error('failed'), { [name]: secret }) }, 'error');
    assert.equal(raw().trim().split('\n').length, 6);
    assert.doesNotMatch(raw(), new RegExp(secret), name);
    assert.match(raw(), /\[redacted\]/);
  }
});

test('an error is written with code and stack', () => {
  const { destination, lines } = capture();
  createLog({ process: 'worker', destination }).error(
    { err: Object.assign(new Error('gone'), { code: 'ECONNRESET' }) },
    'lost',
  );
  const err = lines()[0]?.err as { code: string; message: string; stack: string };
  assert.deepEqual([err.code, err.message], ['ECONNRESET', 'gone']);
  assert.match(err.stack, /log\.test/);
});
