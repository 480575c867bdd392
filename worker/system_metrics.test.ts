import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_VERSION } from '../contract/records.ts';
import { silentLog } from '../platform/log.ts';
import { ManualClock } from '../platform/manual_clock.ts';
import { createRegistry } from '../platform/metrics.ts';
import { placementOf } from '../state/cosmos/documents.ts';
import type { ArchiveRecord, WriteOutcome } from '../state/outbox/ports.ts';
import { SystemMetrics } from './system_metrics.ts';

const PERIOD_MS = 60_000;
const LATER: WriteOutcome = { kind: 'later', throttled: false, retryAfterMs: undefined, cause: undefined };

function setUp(answer: (record: ArchiveRecord) => WriteOutcome | Promise<WriteOutcome> = () => ({ kind: 'written' })) {
  const clock = new ManualClock();
  const registry = createRegistry({ processMetrics: false });
  const written: ArchiveRecord[] = [];
  const archive = {
    async write(record: ArchiveRecord) {
      const outcome = await answer(record);
      if (outcome.kind === 'written') written.push(record);
      return outcome;
    },
  };
  let activeCalls = 0;
  const heartbeat = () => ({
    ...{ v: RECORD_VERSION, worker: 'w-1', incarnation: 'inc', endpoint: 'http://127.0.0.1:1', slots: 8, admits: true },
    ...{ activeCalls: activeCalls++, memoryBytes: 1, memoryLimitBytes: 2, memoryBaselineBytes: 1, eventLoopLagMs: 0 },
    ...{ relayedSockets: 0, unsentRecords: 0 },
  });
  const metrics = new SystemMetrics({
    ...{ archive, heartbeat, pool: 'local.desk', periodMs: PERIOD_MS, clock, log: silentLog, registry },
  });
  const counted = async (result: string) => {
    const page = await registry.metrics();
    return Number(new RegExp(`records_total\\{result="${result}"\\} (\\d+)`).exec(page)?.[1]);
  };
  return { clock, metrics, written, counted };
}

test('each period has a record under an id of its own, in the place that reports read', async () => {
  const { clock, metrics, written, counted } = setUp();
  metrics.start();
  for (let minute = 0; minute < 3; minute++) await clock.advance(PERIOD_MS);
  await metrics.stop();
  assert.deepEqual(
    written.map(({ id, body }) => [id, body.activeCalls]),
    [
      ['inc.1', 0],
      ['inc.2', 1],
      ['inc.3', 2],
      ['inc.4', 3],
    ],
  );
  const [first] = written;
  assert.ok(first);
  const placement = placementOf(first);
  assert.ok('container' in placement);
  assert.equal(placement.container, 'metrics');
  assert.deepEqual(placement.partition, ['local.desk', new Date(Number(first.body.atMs)).toISOString().slice(0, 10)]);
  assert.equal(await counted('written'), 4);
});

test('while the archive is away the newest hour is kept, in order, and the rest is counted', async () => {
  let away = true;
  const { metrics, written, counted } = setUp(() => (away ? LATER : { kind: 'written' }));
  for (let minute = 0; minute < 70; minute++) await metrics.take();
  assert.equal(await counted('dropped'), 10);
  away = false;
  await metrics.take();
  assert.deepEqual(
    written.map(({ id }) => id),
    Array.from({ length: 60 }, (_, n) => `inc.${n + 12}`),
  );
});

test('a record that is refused does not hold up the next one', async () => {
  const { metrics, written, counted } = setUp(({ id }) =>
    id === 'inc.1' ? { kind: 'refused', reason: 'too large' } : { kind: 'written' },
  );
  await metrics.take();
  await metrics.take();
  assert.deepEqual(
    written.map(({ id }) => id),
    ['inc.2'],
  );
  assert.equal(await counted('refused'), 1);
});

test('an archive that does not answer holds up the end of the worker for two seconds at most', async () => {
  const { clock, metrics } = setUp(() => new Promise(() => undefined));
  let stopped = false;
  const stopping = metrics.stop().then(() => {
    stopped = true;
  });
  await clock.advance(1_999);
  assert.equal(stopped, false);
  await clock.advance(1);
  await stopping;
});
