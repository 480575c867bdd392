import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSourceCaps } from './caps.ts';

test('each bound holds, and leaving twice counts once', () => {
  const caps = createSourceCaps({ perSource: 2, total: 3 });
  const [a1, a2, a3] = [caps.enter('a'), caps.enter('a'), caps.enter('a')];
  assert.ok(a1 && a2);
  assert.equal(a3, undefined);
  assert.ok(caps.enter('b'));
  assert.equal(caps.enter('c'), undefined);
  a1();
  a1();
  assert.equal(caps.inside, 2);
  assert.ok(caps.enter('c'));
  assert.equal(caps.enter('a'), undefined);
});

test('whatever comes and goes, no bound is passed and nothing is left behind', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.boolean()), { maxLength: 60 }), (steps) => {
      const caps = createSourceCaps({ perSource: 3, total: 6 });
      const inside: { source: string; leave: () => void }[] = [];
      for (const [source, enters] of steps) {
        if (!enters) inside.shift()?.leave();
        else {
          const leave = caps.enter(String(source));
          if (leave) inside.push({ source: String(source), leave });
        }
        assert.equal(caps.inside, inside.length);
        assert.ok(inside.length <= 6);
        assert.ok(inside.filter((entry) => entry.source === String(source)).length <= 3);
      }
      for (const { leave } of inside) leave();
      assert.equal(caps.inside, 0);
    }),
  );
});
