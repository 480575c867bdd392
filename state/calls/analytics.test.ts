import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainMembers } from '../../security/sealing/policy.ts';
import { placementOf } from '../cosmos/documents.ts';
import type { CallSummary } from '../ports.ts';
import { callAnalytics, distributionOf } from './analytics.ts';

const summary: CallSummary = {
  ...{ v: 1, callConnectionId: 'c', callRef: 'r', correlationId: 'x', from: '4:+15550100', to: '4:+15550101' },
  ...{ startedAtMs: 1_000, endedAtMs: 61_000, reason: 'callerHangUp', turns: 7, workers: ['w-1'], partial: false },
};

test('a call is told in figures, without the caller, in members that the policy leaves clear', () => {
  const { id, kind, body } = callAnalytics(summary, { pool: 'local.demo', setupMs: 300, responseMs: [400, 200, 900] });
  assert.deepEqual(
    [id, kind, body.durationMs, body.turns, body.reason],
    ['analytics', 'analytics', 60_000, 7, 'callerHangUp'],
  );
  assert.deepEqual(body.latencies, { setupMs: 300, responseMs: { count: 3, p50: 400, p95: 900, max: 900 } });
  assert.ok(!JSON.stringify(body).includes('+1555'));
  assert.deepEqual(plainMembers('analytics', body), []);
  const placement = placementOf({ id, kind, body, callConnectionId: 'c', header: { v: 1, alg: 'none' } });
  assert.ok(!('refused' in placement));
});

test('clocks that disagree give no negative duration, and no answer gives no figure', () => {
  const { body } = callAnalytics({ ...summary, endedAtMs: 0 }, { pool: 'p', setupMs: undefined, responseMs: [] });
  assert.deepEqual([body.durationMs, body.latencies], [0, {}]);
});

test('percentiles are measured values', () => {
  const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
  assert.deepEqual(distributionOf(hundred), { count: 100, p50: 50, p95: 95, max: 100 });
  assert.deepEqual(distributionOf([5]), { count: 1, p50: 5, p95: 5, max: 5 });
});
