import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { turnId } from '../calls/record_ids.ts';
import { lostTurns } from './accounting.ts';

test('accepted = archived + pending + quarantined + lost, whatever stands where and however often', () => {
  const place = fc.subarray(['archived', 'pending', 'quarantined'] as const);
  fc.assert(
    fc.property(fc.array(place, { maxLength: 50 }), (places) => {
      const in_ = (name: string) =>
        places.flatMap((each, index) => (each.some((place) => place === name) ? [turnId(index + 1)] : []));
      const account = { archived: in_('archived'), pending: in_('pending'), quarantined: in_('quarantined') };
      const lost = lostTurns({ turns: places.length, ...account });
      const all = new Set([...account.archived, ...account.pending, ...account.quarantined, ...lost]);
      assert.deepEqual(
        [...all].sort(),
        places.map((_, index) => turnId(index + 1)),
      );
      assert.deepEqual(
        lost,
        places.flatMap((each, index) => (each.length === 0 ? [turnId(index + 1)] : [])),
      );
    }),
  );
});
