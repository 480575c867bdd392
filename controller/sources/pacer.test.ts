import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Pacer } from './pacer.ts';

describe('a pacer', () => {
  it('runs so many at once, in the order they came, and goes on after a failure', async () => {
    const pacer = new Pacer(2);
    const order: number[] = [];
    let most = 0;
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, at) =>
        pacer.run(async () => {
          order.push(at);
          most = Math.max(most, pacer.running);
          await turn();
          if (at % 3 === 0) throw new Error(`${at}`);
          return at;
        }),
      ),
    );
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal(most, 2);
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 3);
    assert.equal(pacer.running, 0);
  });
});
