import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ENVELOPE_VERSION } from '../../state/envelope.ts';
import type { CallArchive } from '../../state/outbox/ports.ts';
import { type ArchiveBench, answeredCall, newArchiver, oversized, startArchive } from './archive_bench.ts';
import { newCallId } from './support.ts';

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive();
});
after(() => bench.stop());
beforeEach(async () => {
  await bench.leases.begin();
  await bench.leases.worker('w-a', 50);
});

const unsentRefs = async () => (await bench.leases.table.unsent(100)).map(({ callRef }) => callRef);
const stored = (call: string) =>
  bench.simulator.documents('rtvoice', 'transcripts').filter((doc) => doc.callConnectionId === call);

test('a turn is archived right after its checkpoint, and memory lets it go', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  const call = newCallId();
  const { manager } = await answeredCall(bench, call, own);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await own.until(() => own.archived.has(`${call}/turn-000001`));
  manager.archived(['turn-000001']);
  assert.equal(manager.storedIn, 'cosmos');
  await own.stop();
  assert.deepEqual((await bench.store.read(call)).unarchived, []);
  assert.equal(stored(call)[0]?.text, 'hello');
  assert.equal(own.archiver.pending, 0);
  assert.equal(await own.metric('rtvoice_archive_total', { result: 'ok' }), 1);
});

test('the end record ends the stream and takes the call out of the index', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  const call = newCallId();
  const { manager, lease } = await answeredCall(bench, call, own);
  manager.appendToHistory('caller', 'bye');
  manager.updateProfile('user-1', { language: 'en' });
  manager.finish({ reason: 'callerHangUp', endedAtMs: 9, workers: ['w-a'], partial: false });
  assert.deepEqual(await unsentRefs(), [lease.callRef]);
  await manager.persist();
  await own.until(() => own.finished.has(call));
  assert.deepEqual(await unsentRefs(), []);
  assert.equal(await bench.leases.client.command('EXISTS', bench.leases.keys.callKey(call, 'outbox')), 0);
  assert.equal((await bench.archive.readCall(call)).summary?.turns, 1);
});

test('while Cosmos is away records wait, and come once when it is back, lost replies included', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  own.start();
  const call = newCallId();
  const { manager } = await answeredCall(bench, call, own);
  bench.simulator.faults.down = true;
  for (const text of ['one', 'two', 'three']) {
    manager.appendToHistory('caller', text);
    await manager.persist();
  }
  assert.equal(own.archiver.pending, 3);
  assert.equal(manager.unarchivedCount, 3);
  bench.simulator.faults.replyLost = 2;
  bench.simulator.faults.down = false;
  await own.until(() => own.archived.size === 3);
  assert.deepEqual(
    (await bench.archive.readCall(call)).turns.map(({ text }) => text),
    ['one', 'two', 'three'],
  );
  assert.equal(stored(call).length, 3);
  assert.ok(((await own.metric('rtvoice_archive_total', { result: 'retry' })) ?? 0) >= 2);
});

test('what the archive refuses for good is quarantined with its reason, and the rest goes on: all sets add up', async (t) => {
  // A real document of that size is beyond what a turn may hold: it is made here, the rest is real.
  const own = newArchiver(bench, 'w-a', { archive: oversized(bench.archive, 'poison') });
  t.after(() => own.stop());
  const call = newCallId();
  const { manager } = await answeredCall(bench, call, own);
  for (const text of ['one', 'poison', 'three']) manager.appendToHistory('caller', text);
  const accepted = ['turn-000001', 'turn-000002', 'turn-000003'];
  await manager.persist();
  await own.until(() => own.archived.size === 2 && own.quarantined.size === 1);
  await own.stop();
  const pending = (await bench.store.read(call)).unarchived.map(({ id }) => id);
  const quarantined = await bench.stream.quarantined(call);
  const archived = await bench.archive.recordIds(call);
  assert.deepEqual([...archived, ...pending, ...quarantined.map(({ id }) => id)].sort(), accepted);
  assert.deepEqual(quarantined, [{ id: 'turn-000002', reason: 'the document is too large (413)' }]);
  assert.ok((await bench.leases.client.command<number>('PTTL', bench.leases.keys.callKey(call, 'quarantine'))) > 0);
  assert.equal(await own.metric('rtvoice_archive_total', { result: 'quarantined' }), 1);
});

test('after Redis was emptied the owner appends its unarchived turns again under the same ids', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  const call = newCallId();
  const { manager } = await answeredCall(bench, call, own);
  bench.simulator.faults.down = true;
  manager.appendToHistory('caller', 'one');
  manager.appendToHistory('assistant', 'two');
  await manager.persist();
  await bench.redis.flush();
  bench.simulator.faults.down = false;
  await manager.persist({ full: true });
  await own.until(() => own.archived.size === 2);
  assert.deepEqual(
    (await bench.archive.readCall(call)).turns.map(({ id }) => id),
    ['turn-000001', 'turn-000002'],
  );
});

test('an entry of a newer release waits for a worker of that release', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  const call = newCallId();
  const record = JSON.stringify({ v: ENVELOPE_VERSION + 1, alg: 'none', body: {} });
  await bench.leases.client.command(
    'XADD',
    bench.leases.keys.callKey(call, 'outbox'),
    '*',
    'id',
    'turn-000001',
    'kind',
    'turn',
    'e',
    record,
  );
  await bench.leases.client.command('EXPIRE', bench.leases.keys.callKey(call, 'outbox'), 60);
  assert.deepEqual(await own.archiver.drain.run(call), { kind: 'held' });
  assert.equal((await bench.stream.read(call, 9)).length, 1);
  assert.deepEqual(await bench.stream.quarantined(call), []);
});

test('an entry that cannot be read is quarantined, and what follows it goes on', async (t) => {
  const own = newArchiver(bench, 'w-a');
  t.after(() => own.stop());
  const call = newCallId();
  const outbox = bench.leases.keys.callKey(call, 'outbox');
  await bench.leases.client.command('XADD', outbox, '*', 'id', 'turn-000001', 'kind', 'turn', 'e', '{broken');
  await bench.leases.client.command('EXPIRE', outbox, 60);
  const { manager } = await answeredCall(bench, call, own);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await own.until(() => own.archived.size === 1);
  assert.deepEqual(await bench.stream.quarantined(call), [{ id: 'turn-000001', reason: 'ERR_RECORD_UNREADABLE' }]);
});

test('no more streams than allowed are drained at the same time', async (t) => {
  let [active, most] = [0, 0];
  const counting: CallArchive = {
    readCall: (id) => bench.archive.readCall(id),
    recordIds: (id) => bench.archive.recordIds(id),
    write: async (record) => {
      active += 1;
      most = Math.max(most, active);
      const outcome = await bench.archive.write(record);
      active -= 1;
      return outcome;
    },
  };
  const own = newArchiver(bench, 'w-a', { archive: counting, maxInFlight: 2 });
  t.after(() => own.stop());
  const calls = await Promise.all(Array.from({ length: 6 }, () => answeredCall(bench, newCallId(), own)));
  for (const { manager } of calls) manager.appendToHistory('caller', 'hello');
  await Promise.all(calls.map(({ manager }) => manager.persist()));
  await own.until(() => own.archived.size === 6);
  assert.equal(most, 2);
});

test('what Redis lost before it was archived is told to the owner, who writes it again', async (t) => {
  const call = newCallId();
  const own = newArchiver(bench, 'w-a', { owner: { missing: () => void manager.persist({ full: true }) } });
  t.after(() => own.stop());
  const { manager, lease } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await bench.redis.flush();
  own.start();
  own.archiver.track({ callConnectionId: call, callRef: lease.callRef, pendingIds: manager.unarchivedIds });
  await own.until(() => own.archived.has(`${call}/turn-000001`));
  assert.deepEqual([...own.missing], [`${call}/turn-000001`]);
  assert.equal(stored(call)[0]?.text, 'hello');
});

test('what another archiver took meanwhile is not waited for', async (t) => {
  const [own, other] = [newArchiver(bench, 'w-a'), newArchiver(bench, 'w-b')];
  t.after(() => own.stop());
  const call = newCallId();
  const { manager } = await answeredCall(bench, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await other.archiver.drain.run(call);
  own.archiver.track({ callConnectionId: call, callRef: 'ref12345', pendingIds: ['turn-000001'] });
  await own.until(() => own.archived.has(`${call}/turn-000001`));
  assert.equal(own.archiver.pending, 0);
  assert.equal(own.missing.size, 0);
});
