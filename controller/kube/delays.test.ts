import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Delays } from './delays.ts';

test('gives what is due, the soonest first, each key once and at the soonest of its times', () => {
  const entry = fc.record({ key: fc.constantFrom(...'abcdefgh'), dueMs: fc.integer({ min: 0, max: 40 }) });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), fc.array(fc.integer({ min: 0, max: 50 })), (entries, times) => {
      const delays = new Delays();
      const model = new Map<string, number>();
      const check = (nowMs: number) => {
        const due = [...model].filter(([, dueMs]) => dueMs <= nowMs);
        const taken = delays.takeDue(nowMs);
        assert.deepEqual([...taken].sort(), due.map(([key]) => key).sort());
        const order = taken.map((key) => model.get(key) ?? Number.NaN);
        assert.deepEqual(
          order,
          [...order].sort((a, b) => a - b),
        );
        for (const key of taken) model.delete(key);
        assert.equal(delays.size, model.size);
        assert.equal(delays.nextDueMs, model.size === 0 ? undefined : Math.min(...model.values()));
      };
      for (const [index, { key, dueMs }] of entries.entries()) {
        delays.add(key, dueMs);
        model.set(key, Math.min(dueMs, model.get(key) ?? Number.POSITIVE_INFINITY));
        const nowMs = times[index];
        if (nowMs !== undefined) check(nowMs);
      }
      check(50);
    }),
  );
});
