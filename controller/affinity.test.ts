import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AffinityRecord } from '../contract/records.ts';
import { silentLog } from '../platform/log.ts';
import { ManualClock } from '../platform/manual_clock.ts';
import { Affinity } from './affinity.ts';

/** The store behind the records: holds what was written, can be emptied, away, or owned by a newer controller. */
function store() {
  const records = new Map<string, AffinityRecord>();
  const state = { records, writes: 0, away: false, newerFence: 0 };
  const leases = {
    async writeAffinity(record: AffinityRecord): Promise<'written' | 'fenced'> {
      if (state.away) throw new Error('away');
      if (record.controllerFence < state.newerFence) return 'fenced';
      state.writes++;
      records.set(record.worker, record);
      return 'written';
    },
    async affinity(worker: string) {
      return records.get(worker);
    },
  };
  const clock = new ManualClock();
  return { state, clock, affinity: new Affinity({ leases, clock, log: silentLog, fence: 3, lifeMs: 300_000 }) };
}

const content = (state: AffinityRecord['state']) => ({
  worker: 'w',
  state,
  endpoint: 'http://h:1',
  slots: 4,
  revision: 'r',
});

describe('affinity records', () => {
  it('are written on a change and long before they would expire, not in between', async () => {
    const { state, clock, affinity } = store();
    for (const [advanceMs, writes] of [
      [0, 1],
      [119_000, 1],
      [1_001, 2],
    ] as const) {
      clock.advance(advanceMs);
      assert.ok(await affinity.assert(content('admitting')));
      assert.equal(state.writes, writes);
    }
    await affinity.assert(content('draining'));
    assert.equal(state.records.get('w')?.state, 'draining');
    assert.equal(state.records.get('w')?.controllerFence, 3);
  });

  it('stand since their first write, and no longer once Redis may have lost them', async () => {
    const { state, clock, affinity } = store();
    await affinity.assert(content('admitting'));
    clock.advance(1_000);
    await affinity.assert(content('draining'));
    clock.advance(70_000);
    await affinity.assert(content('draining'));
    assert.equal(affinity.standsSinceMs('w', 'draining'), 1_000);
    assert.equal(affinity.standsSinceMs('w', 'admitting'), undefined);
    state.records.clear();
    await affinity.spotCheck();
    assert.equal(affinity.standsSinceMs('w', 'draining'), undefined);
    await affinity.assert(content('draining'));
    assert.equal(affinity.standsSinceMs('w', 'draining'), 71_000);
  });

  it('wait while Redis is away and stop for a newer controller', async () => {
    const { state, affinity } = store();
    state.away = true;
    assert.equal(await affinity.assert(content('admitting')), false);
    assert.equal(affinity.standsSinceMs('w', 'admitting'), undefined);
    state.away = false;
    state.newerFence = 4;
    await assert.rejects(affinity.assert(content('admitting')), { code: 'ERR_CONTROLLER_FENCED' });
  });
});
