import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Breaker, type BreakerState } from './breaker.ts';

function make(initial: BreakerState) {
  const changes: string[] = [];
  const breaker = new Breaker({
    initial,
    onChange: ({ state, previous, reason }) => changes.push(`${previous} ${state} ${reason}`),
  });
  return { breaker, changes };
}

test('opens at once, and closes after two answers', () => {
  const { breaker, changes } = make('closed');
  assert.equal(breaker.admits, true);
  breaker.answered();
  breaker.failed('ERR_REDIS_TIMEOUT');
  breaker.failed('connection closed');
  assert.equal(breaker.admits, false);
  breaker.answered();
  assert.equal(breaker.state, 'halfOpen');
  breaker.answered();
  assert.equal(breaker.state, 'closed');
  assert.deepEqual(changes, ['closed open ERR_REDIS_TIMEOUT', 'open halfOpen answered', 'halfOpen closed answered']);
});

test('half open: a few commands may try, and one missing answer opens it again', () => {
  const { breaker } = make('open');
  breaker.answered();
  let admitted = 0;
  while (breaker.admits && admitted < 1000) {
    breaker.entered();
    admitted += 1;
  }
  assert.equal(admitted, 16);
  breaker.left();
  assert.equal(breaker.admits, true);
  breaker.failed('ERR_REDIS_TIMEOUT');
  assert.equal(breaker.state, 'open');
  assert.equal(breaker.admits, false);
});
