import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../../../platform/manual_clock.ts';
import { aSpec, aView, aWorker } from '../../../test/support/pool_views.ts';
import { Scaler } from './scaler.ts';

const SPEC = { ...aSpec(), minWorkers: 2, maxWorkers: 40 };

/** A scaler of a pool with two idle workers that is asked every five seconds. */
function scaling(spec = SPEC) {
  const clock = new ManualClock();
  const scaler = new Scaler({ spec, wanted: 2, clock });
  let refusedTotal = 0;
  return {
    clock,
    scaler,
    step(refused: number, redisFull = false) {
      clock.advance(5_000);
      refusedTotal += refused;
      const workers = Array.from({ length: 2 }, (_, at) => aWorker(`w-${at}`));
      const view = aView(workers, { spec, nowMs: clock.monotonicMs(), redis: { state: 'available', refusedTotal } });
      return scaler.decide(view, { redisFull });
    },
  };
}

describe('the scaler of a pool', () => {
  it('follows refused calls, but not those that a full Redis has caused, nor their echo', () => {
    const pool = scaling();
    pool.step(0);
    for (let n = 0; n < 20; n++) assert.equal(pool.step(50, true)?.wanted, 2);
    for (let n = 0; n < 11; n++)
      assert.equal(pool.step(0)?.wanted, 2, 'Redis has room again, the refusals are remembered');
    for (let n = 0; n < 3; n++) assert.equal(pool.step(0)?.terms.redisFull, false);
    assert.ok((pool.step(100)?.wanted ?? 0) > 2, 'these are for want of workers');
  });

  it('tells who wrote a number that mode Fixed does not heed', () => {
    const spec = { ...SPEC, scaling: { ...SPEC.scaling, mode: 'Fixed' as const } };
    const pool = scaling(spec);
    assert.equal(pool.scaler.replicasFinding(spec).status, 'False');
    pool.scaler.request(9, spec, 'kubectl');
    assert.equal(pool.step(0)?.wanted, 2);
    const { reason, message } = pool.scaler.replicasFinding(spec);
    assert.equal(reason, 'IgnoredWhileFixed');
    assert.match(message, /9 workers were asked for by kubectl/);
  });
});
