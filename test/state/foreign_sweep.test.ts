import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { type ArchiveBench, answeredCall, newArchiver, startArchive } from './archive_bench.ts';
import { loaded, newCallId } from './support.ts';

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive();
});
after(() => bench.stop());
beforeEach(async () => {
  await bench.leases.begin();
  await bench.leases.worker('w-dead', 50);
});

const unsentRefs = async () => (await bench.leases.table.unsent(100)).map(({ callRef }) => callRef);

/** The heartbeat is over; its lease still names it. */
async function die(): Promise<void> {
  const { client, keys } = bench.leases;
  await client.command('ZREM', keys.systemKey({ namespace: 'local', pool: 'demo' }, 'beats'), 'w-dead');
}

test('the stream of a live worker is left to it', async () => {
  const other = newArchiver(bench, 'w-b');
  const call = newCallId();
  const { manager } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await other.sweep.run();
  assert.equal((await bench.store.read(call)).unarchived.length, 1);
});

test('the stream of a dead worker is drained, and a call that had ended is finished', async () => {
  const other = newArchiver(bench, 'w-b', { orphanAfterMs: 60_000 });
  const [ended, open] = [newCallId(), newCallId()];
  const first = await answeredCall(bench, ended);
  first.manager.appendToHistory('caller', 'bye');
  first.manager.finish({ reason: 'callerHangUp', endedAtMs: 5, workers: ['w-dead'], partial: false });
  await first.manager.persist();
  const second = await answeredCall(bench, open);
  second.manager.appendToHistory('caller', 'hello');
  await second.manager.persist();
  await die();
  await other.sweep.run();
  assert.deepEqual(await unsentRefs(), [second.lease.callRef]);
  assert.deepEqual((await bench.archive.recordIds(ended)).sort(), ['summary', 'turn-000001']);
  // Not yet an orphan: somebody may still take it over.
  assert.deepEqual(await bench.archive.recordIds(open), ['turn-000001']);
  assert.equal(await other.metric('rtvoice_records_lost_total'), 0);
});

test('an orphan gets a partial end record, and its owner can write no more', async () => {
  const other = newArchiver(bench, 'w-b');
  const call = newCallId();
  const { manager, lease } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  manager.appendToHistory('assistant', 'welcome');
  await manager.persist();
  await die();
  await other.sweep.run();
  const { turns, summary } = await bench.archive.readCall(call);
  assert.deepEqual(
    turns.map(({ text }) => text),
    ['hello', 'welcome'],
  );
  assert.deepEqual([summary?.reason, summary?.partial, summary?.turns], ['orphaned', true, 2]);
  assert.deepEqual(await unsentRefs(), []);
  assert.equal(await bench.leases.table.find(lease.callRef), undefined);
  assert.equal(other.orphans.holds(lease.callRef), false);
  manager.appendToHistory('caller', 'still here');
  await assert.rejects(manager.persist(), { code: 'ERR_CALL_FENCED' });
  const left = await bench.leases.ttls();
  assert.deepEqual(
    [...left].filter(([, ms]) => ms < 0),
    [],
  );
});

test('an orphan without a session in Redis is ended from what the archive has', async () => {
  const other = newArchiver(bench, 'w-b');
  const call = newCallId();
  const { manager } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await other.archiver.drain.run(call);
  await bench.leases.client.command(
    'DEL',
    bench.leases.keys.callKey(call, 'session'),
    bench.leases.keys.callKey(call, 'fence'),
  );
  await die();
  await other.sweep.run();
  const { summary } = await bench.archive.readCall(call);
  assert.deepEqual([summary?.reason, summary?.turns], ['orphaned', 1]);
  assert.deepEqual(await unsentRefs(), []);
});

test('turns that Redis lost with their worker are counted', async () => {
  const other = newArchiver(bench, 'w-b');
  const call = newCallId();
  const { manager } = await answeredCall(bench, call);
  for (const text of ['one', 'two', 'three']) manager.appendToHistory('caller', text);
  await manager.persist();
  const [first] = await bench.stream.read(call, 1);
  await bench.leases.client.command('XDEL', bench.leases.keys.callKey(call, 'outbox'), first?.[0] ?? '');
  await die();
  await other.sweep.run();
  assert.equal(await other.metric('rtvoice_records_lost_total'), 1);
  assert.deepEqual(await unsentRefs(), []);
});

test('a ring that was never answered leaves the index with its lease', async () => {
  const other = newArchiver(bench, 'w-b');
  const { table } = bench.leases;
  const outcome = await table.place({
    ring: { v: 1, ringId: 'r', correlationId: 'c', incomingCallContext: 's', from: 'f', to: 't', serverCallId: 's' },
    newCallRef: 'neveranswered',
    strategy: 'Spread',
  });
  assert.equal(outcome.kind, 'placed');
  await die();
  await other.sweep.run();
  assert.deepEqual(await unsentRefs(), ['neveranswered']);
  if (outcome.kind === 'placed') await table.release(outcome.lease);
  await other.sweep.run();
  assert.deepEqual(await unsentRefs(), []);
});

test("while Cosmos is away a dead worker's stream stays", async () => {
  const other = newArchiver(bench, 'w-b');
  const call = newCallId();
  const { manager, lease } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await die();
  bench.simulator.faults.down = true;
  await assert.rejects(other.sweep.run(), { code: 'ERR_ARCHIVE_AWAY' });
  bench.simulator.faults.down = false;
  assert.deepEqual(await unsentRefs(), [lease.callRef]);
  assert.equal((await bench.store.read(call)).unarchived.length, 1);
  await other.sweep.run();
  assert.deepEqual(await unsentRefs(), []);
});

test('a worker that runs sweeps by itself takes over where the dead one left', async (t) => {
  const other = newArchiver(bench, 'w-b');
  t.after(() => other.stop());
  const call = newCallId();
  const { manager } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'bye');
  manager.finish({ reason: 'callerHangUp', endedAtMs: 5, workers: ['w-dead'], partial: false });
  await manager.persist();
  await die();
  other.start();
  await other.until(() => other.archived.has(`${call}/summary`));
  await other.stop();
  assert.deepEqual(await unsentRefs(), []);
});

test('a taken over call goes on in the archive of its new owner', async (t) => {
  const other = newArchiver(bench, 'w-b');
  t.after(() => other.stop());
  const call = newCallId();
  const { manager, lease } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await die();
  const seen = { fence: lease.fence, incarnation: lease.incarnation };
  const grant = await bench.leases.table.grant({
    callRef: lease.callRef,
    seen,
    taker: { worker: 'w-b', incarnation: 'w-b-1', hardSlotLimit: 5 },
  });
  assert.ok(grant.kind === 'granted');
  const taken = await loaded(bench.store, call, grant.lease.fence, {
    owner: { fence: grant.lease.fence, incarnation: 'w-b-1' },
    onStored: (id, ids) => other.archiver.nudge(id, ids),
  });
  other.archiver.track({ callConnectionId: call, callRef: lease.callRef, pendingIds: taken.unarchivedIds });
  taken.appendToHistory('assistant', 'welcome');
  taken.finish({ reason: 'callerHangUp', endedAtMs: 9, workers: ['w-dead', 'w-b'], partial: false });
  await taken.persist();
  await other.until(() => other.finished.has(call));
  assert.deepEqual(
    (await bench.archive.readCall(call)).turns.map(({ text }) => text),
    ['hello', 'welcome'],
  );
  assert.equal(other.archiver.pending, 0);
});
