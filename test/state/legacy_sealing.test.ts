import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { migratingStore, newMigrator, writeFlat } from './legacy_support.ts';
import { everythingIn, newWorker, type SealingBench, startSealing } from './sealing_bench.ts';
import { conversationOptions, loaded } from './support.ts';

let bench: SealingBench;
before(async () => {
  bench = await startSealing();
});
after(() => bench.stop());

test('what is moved over is sealed as everything else is, and any worker opens it', async () => {
  const { client, keys } = bench;
  const worker = await newWorker(bench);
  const chat_history = JSON.stringify({
    Desk: [
      { role: 'user', content: 'planted words', timestamp: 1_757_000_000, name: 'planted name' },
      { role: 'tool', content: { planted: 'result' } },
    ],
  });
  const corememory = JSON.stringify({ caller_id: '4:+15550199', pin: 'planted pin' });
  await writeFlat(client, {
    id: 'call-1',
    keys: [
      { key: 'session:call-1', hash: { chat_history, corememory, extra: 'planted field' } },
      { key: 'call:call-1:recording', string: '{"by":"planted recorder"}' },
    ],
  });
  const store = migratingStore(worker.store, newMigrator(client, keys, { codec: worker.codec }));
  const call = await store.read('call-1');
  assert.equal(call.context.pin, 'planted pin');
  await client.command('DEL', 'session:call-1', 'call:call-1:recording');
  assert.doesNotMatch(await everythingIn(client), /planted|15550199/);
  const other = await newWorker(bench);
  const otherStore = migratingStore(other.store, newMigrator(client, keys, { codec: other.codec }));
  const manager = await loaded(otherStore, 'call-1', 2);
  assert.deepEqual(manager.history, call.history);
  manager.appendToHistory('caller', 'and on');
  await manager.persist();
  const claim = await store.claim({ callConnectionId: 'call-1', ...conversationOptions(store, 3).owner });
  assert.ok(claim.kind === 'claimed');
  assert.deepEqual(
    claim.call.history.map(({ text }) => text),
    ['planted words', '{"planted":"result"}', 'and on'],
  );
});
