import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PoolTag } from '../contract/ids.ts';
import { ManualClock } from '../platform/manual_clock.ts';
import { createCallTokens } from './call_tokens.ts';

const NEW_KEY = 'a new key of sixteen';
const OLD_KEY = 'the old key of sixteen';
const clock = new ManualClock();
const bound = { tag: 'local.front', callRef: 'abcdefghij0123456789' } as const;
const issue = (tokens: ReturnType<typeof createCallTokens>) =>
  tokens.issue({ ...bound, expiresAtMs: clock.wallMs() + 60_000 });

test('a token passes for its own pool and call, and stands in a URL as it is', () => {
  const tokens = createCallTokens({ keys: [NEW_KEY], clock });
  const token = issue(tokens);
  assert.equal(token, encodeURIComponent(token));
  assert.ok(token.length < 80);
  assert.deepEqual(tokens.verify(token, bound), { ok: true, expiresAtMs: clock.wallMs() + 60_000 });
});

test('rotation: the first key signs, all verify, a withdrawn one does not', () => {
  const old = createCallTokens({ keys: [OLD_KEY], clock });
  const both = createCallTokens({ keys: [NEW_KEY, OLD_KEY], clock });
  const fresh = createCallTokens({ keys: [NEW_KEY], clock });
  assert.equal(both.verify(issue(old), bound).ok, true);
  assert.equal(fresh.verify(issue(both), bound).ok, true);
  assert.deepEqual(fresh.verify(issue(old), bound), { ok: false, reason: 'unknown_key' });
});

test('expiry, with a minute for clocks that differ', () => {
  const own = new ManualClock();
  const tokens = createCallTokens({ keys: [NEW_KEY], clock: own });
  const token = tokens.issue({ ...bound, expiresAtMs: own.wallMs() + 10_000 });
  own.advance(70_000);
  assert.equal(tokens.verify(token, bound).ok, true);
  own.advance(1);
  assert.deepEqual(tokens.verify(token, bound), { ok: false, reason: 'expired' });
});

test('no change of a token, and no other binding, passes', () => {
  const tokens = createCallTokens({ keys: [NEW_KEY], clock });
  const token = issue(tokens);
  const position = fc.integer({ min: 0, max: token.length - 1 });
  fc.assert(
    fc.property(position, fc.string({ minLength: 0, maxLength: 2, unit: 'grapheme' }), (at, put) => {
      const changed = token.slice(0, at) + put + token.slice(at + 1);
      return changed === token || !tokens.verify(changed, bound).ok;
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.string(), (namespace, callRef) => {
      const other = { tag: `${namespace}.front` as PoolTag, callRef };
      return (other.tag === bound.tag && callRef === bound.callRef) || !tokens.verify(token, other).ok;
    }),
  );
  fc.assert(fc.property(fc.string(), (noise) => !tokens.verify(noise, bound).ok));
});

test('a signature has one spelling', () => {
  const tokens = createCallTokens({ keys: [NEW_KEY], clock });
  const token = issue(tokens);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const passing = [...alphabet].filter((last) => tokens.verify(token.slice(0, -1) + last, bound).ok);
  assert.deepEqual(passing, [token.at(-1)]);
});

test('the parts of the binding cannot flow into each other', () => {
  const tokens = createCallTokens({ keys: [NEW_KEY], clock });
  const token = tokens.issue({ tag: 'local.front', callRef: 'x1', expiresAtMs: clock.wallMs() + 1000 });
  assert.equal(tokens.verify(token, { tag: 'local.frontx' as PoolTag, callRef: '1' }).ok, false);
});

test('without a key there is nothing to make', () => {
  assert.throws(() => createCallTokens({ keys: [], clock }), RangeError);
});
