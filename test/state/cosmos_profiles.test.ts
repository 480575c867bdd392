import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { parseEnvelope, type RecordCodec } from '../../state/envelope.ts';
import type { ArchiveRecord } from '../../state/outbox/ports.ts';
import { record, startCosmos } from './cosmos_bench.ts';
import { OneKeyCodec } from './one_key_codec.ts';

async function update(codec: RecordCodec, id: string, patch: Record<string, unknown>): Promise<ArchiveRecord> {
  const ref = { kind: 'profile', id: `call-1/${id}` } as const;
  const text = await codec.seal(ref, { userId: 'user-1', patch, callConnectionId: 'call-1', atMs: 5 });
  return record('call-1', { kind: 'profile', id, ...parseEnvelope(ref, text) });
}

test('sealed updates are merged with the keys and stay sealed in the store', async (t) => {
  const { open, simulator } = await startCosmos(t);
  const codec = new OneKeyCodec();
  const archive = new CosmosArchive({ database: open(), codec });
  const first = await update(codec, 'u1', { name: 'Ada Lovelace' });
  assert.deepEqual(await archive.write(first), { kind: 'written' });
  assert.deepEqual(await archive.write(first), { kind: 'repeated' });
  const many = await Promise.all([2, 3, 4].map((n) => update(codec, `u${n}`, { [`field${n}`]: n })));
  const outcomes = await Promise.all(many.map((each) => archive.write(each)));
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['written', 'written', 'written'],
  );
  const [stored, ...more] = simulator.documents('rtvoice', 'profiles');
  assert.ok(stored && more.length === 0);
  assert.ok(!JSON.stringify(stored).includes('Lovelace'));
  const profile = await archive.readProfile('user-1');
  assert.ok(profile);
  assert.equal(await archive.readProfile('nobody'), undefined);
  assert.deepEqual(
    [profile.name, profile.field2, profile.field3, profile.field4, profile.callCount],
    ['Ada Lovelace', 2, 3, 4, 1],
  );
});

test('without the keys a sealed update waits; it is never quarantined, and never written in clear', async (t) => {
  const { open, simulator } = await startCosmos(t);
  const database = open();
  await database.ensure();
  const outcome = await new CosmosArchive({ database }).write(await update(new OneKeyCodec(), 'u1', { name: 'Ada' }));
  assert.ok(outcome.kind === 'later' && !outcome.throttled);
  assert.match(String(outcome.cause), /sealed and no keys are configured/);
  assert.deepEqual(simulator.documents('rtvoice', 'profiles'), []);
});

test('after an erasure old updates are refused, and a new one begins a new profile', async (t) => {
  const { open, simulator } = await startCosmos(t);
  const codec = new OneKeyCodec();
  const archive = new CosmosArchive({ database: open(), codec });
  await archive.write(await update(codec, 'u1', { name: 'Ada' }));
  const late = await update(codec, 'u2', { name: 'Ada again' });
  codec.erase();
  assert.equal(await archive.readProfile('user-1'), undefined);
  assert.deepEqual(await archive.write(late), { kind: 'refused', reason: 'its key was erased' });
  assert.deepEqual(await archive.write(await update(codec, 'u3', { language: 'en' })), { kind: 'written' });
  const [stored] = simulator.documents('rtvoice', 'profiles');
  const text = JSON.stringify({ ...(stored?.envelope as object), body: { sealed: stored?.sealed } });
  const profile = await codec.open({ kind: 'profile', id: 'user-1' }, text);
  assert.deepEqual([profile.name, profile.language, profile.applied], [undefined, 'en', ['u3']]);
});
