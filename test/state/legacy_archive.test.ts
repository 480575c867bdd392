import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ArchiveBench, newArchiver, startArchive } from './archive_bench.ts';
import { bulk, newMigrator, writeFlat } from './legacy_support.ts';
import { loaded } from './support.ts';

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive();
});
after(() => bench.stop());

const unsentRefs = async () => (await bench.leases.table.unsent(100)).map(({ callRef }) => callRef);

async function write(id: string, turns: number, more: Record<string, unknown> = {}): Promise<string[]> {
  const said = Array.from({ length: turns }, (_, at) => `text ${at + 1}`);
  const list = said.map((content, at) => ({ role: 'user', content, timestamp: 1_757_000_000 + at }));
  const hash = { chat_history: JSON.stringify({ Desk: list }), corememory: JSON.stringify({ step: 1, ...more }) };
  await writeFlat(bench.leases.client, { id, keys: [{ key: `session:${id}`, hash }] });
  return said;
}

test('what the bounded history and the context cannot keep reaches the archive whole, and a conversation goes on afterwards', async () => {
  const { client, keys } = bench.leases;
  const latency = Array.from({ length: 20_000 }, (_, at) => ({ at, dur: at / 7 }));
  const said = await write('call-1', 450, { latency });
  const parts = { migrator: newMigrator(client, keys), store: bench.store, legacyRedis: client };
  assert.deepEqual(
    (await bulk(parts)).map(({ state }) => state),
    ['migrated'],
  );
  assert.equal((await unsentRefs()).length, 1);

  const archiver = newArchiver(bench, 'w-b');
  await archiver.sweep.run();
  assert.deepEqual(await unsentRefs(), []);
  const { turns, summary } = await bench.archive.readCall('call-1');
  const spoken = turns.filter(({ seq }) => seq > 0);
  assert.deepEqual(
    spoken.map(({ text }) => text),
    said,
  );
  assert.deepEqual(
    spoken.map(({ agent }) => agent),
    said.map(() => 'Desk'),
  );
  const members = turns.filter(({ seq }) => seq === 0);
  assert.equal(members.map(({ text }) => text).join(''), JSON.stringify(latency));
  assert.deepEqual([summary?.turns, summary?.reason, summary?.startedAtMs], [450, 'orphaned', 1_757_000_000_000]);
  assert.equal(await archiver.metric('rtvoice_records_lost_total'), 0);

  // The end record was written under a fence of its own; whoever opens the conversation next goes on above it.
  const manager = await loaded(bench.store, 'call-1', 2);
  assert.equal(manager.appendToHistory('caller', 'back again').seq, 451);
  await manager.persist();
  await archiver.archiver.drain.run('call-1');
  assert.equal((await bench.archive.readCall('call-1')).turns.at(-1)?.text, 'back again');
});

test('archived twice is archived once', async () => {
  const { client, keys } = bench.leases;
  await client.command('FLUSHALL');
  await bench.leases.begin();
  const said = await write('call-2', 3);
  const parts = { migrator: newMigrator(client, keys), store: bench.store, legacyRedis: client };
  const archiver = newArchiver(bench, 'w-b');
  for (let round = 0; round < 2; round++) {
    await bulk(parts);
    await archiver.sweep.run();
    // As if every record had expired while the flat key is still in its grace time.
    for (const name of ['session', 'fence', 'outbox', 'outbox_ids'] as const)
      await client.command('DEL', keys.callKey('call-2', name));
  }
  const { turns } = await bench.archive.readCall('call-2');
  assert.deepEqual(
    turns.map(({ text }) => text),
    said,
  );
});
