import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { contentHash } from '../../state/calls/content.ts';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { openProfile, openTranscript } from '../../state/sealing/archived.ts';
import { verifyCosmos, verifyRedis, violationCount } from '../../state/sealing/verify.ts';
import {
  everythingIn,
  everythingInCosmos,
  newWorker,
  type SealingBench,
  type SealingWorker,
  startSealing,
} from './sealing_bench.ts';
import { conversationOptions, newCallId, startCall } from './support.ts';

const MARKER = 'the quick brown marker jumps over the lazy sealing dog';
/** The caller's and the called number of `startCall`. */
const NUMBERS = ['5550100', '5550101'];
const CALLER = '4:+15550100';

let bench: SealingBench;
before(async () => {
  bench = await startSealing();
});
after(() => bench.stop());

const transcripts = (call: string) =>
  bench.cosmos.documents('rtvoice', 'transcripts').filter((document) => document.callConnectionId === call);
const callerId = () => bench.blindIndex.of(CALLER) ?? '';
const verify = async () => {
  const { client, keys, database } = bench;
  const [transcriptsOf, profiles] = [database.container('transcripts'), database.container('profiles')];
  return [
    await verifyRedis({ redis: client, keys }),
    await verifyCosmos({ transcripts: transcriptsOf, profiles, analytics: database.container('analytics') }),
  ] as const;
};

/** A whole call with the marker in every place that a person can fill. */
async function wholeCall(worker: SealingWorker, call: string): Promise<ConversationManager> {
  const manager = startCall(worker.store, call);
  manager.updateContext({ intent: MARKER });
  manager.updateSession({ dialogue: { heard: MARKER } });
  manager.appendToHistory('caller', `${MARKER} one`);
  await manager.persist();
  manager.appendToHistory('assistant', `${MARKER} two`);
  manager.updateProfile(callerId(), { favourite: MARKER, number: CALLER, [MARKER]: true });
  manager.finish({ reason: 'callerHangUp', endedAtMs: 9, workers: ['w'], partial: false });
  await manager.persist();
  return manager;
}

test('nothing of a whole call stands in clear in either store, on its way and at its end', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  const manager = await wholeCall(worker, call);
  const [inRedis, redisReport] = [await everythingIn(bench.client), (await verify())[0]];
  for (const needle of ['marker', ...NUMBERS]) assert.ok(!inRedis.includes(needle), `Redis holds ${needle}`);
  assert.ok(inRedis.includes('A256GCM'));
  // A bare hash of a short text can be found by trying.
  for (const entry of manager.history) {
    const hash = contentHash({ ...entry, callRef: manager.session.callRef });
    assert.ok(inRedis.includes(entry.seq === 1 ? 'turn-000001#' : 'turn-000002#') && !inRedis.includes(hash));
  }
  // Session, context, summary, two turns of history and four entries of the outbox.
  assert.ok(redisReport.records >= 9, `${redisReport.records}`);
  assert.equal(violationCount(redisReport), 0, JSON.stringify([...redisReport.violations]));

  assert.deepEqual(await worker.drain(call), { kind: 'empty', ended: true });
  const [inCosmos, [, cosmosReport]] = [everythingInCosmos(bench), await verify()];
  for (const needle of ['marker', ...NUMBERS]) assert.ok(!inCosmos.includes(needle), `Cosmos DB holds ${needle}`);
  assert.equal(cosmosReport.records, 4);
  assert.equal(violationCount(cosmosReport), 0, JSON.stringify([...cosmosReport.violations]));
  // A wrapped key in a document would survive the erasure of the key store.
  assert.ok(!JSON.stringify(transcripts(call)).includes('"wk"'));
  assert.ok(!JSON.stringify(bench.cosmos.documents('rtvoice', 'profiles')).includes('"wk"'));
});

test('another process takes the call over, and reads what the archive has', async () => {
  const [first, second] = [await newWorker(bench), await newWorker(bench)];
  const call = newCallId();
  const before = await wholeCall(first, call);
  const outcome = await ConversationManager.fromRedis(conversationOptions(second.store, 2), call);
  assert.ok(outcome.kind === 'loaded');
  const { manager } = outcome;
  assert.deepEqual(manager.history, before.history);
  assert.deepEqual(manager.context, before.context);
  assert.deepEqual(manager.session, before.session);
  assert.equal(manager.unarchivedCount, 4);
  await second.drain(call);
  const turns = await Promise.all(
    transcripts(call)
      .filter(({ kind }) => kind === 'turn')
      .map((document) => openTranscript(second.codec, document)),
  );
  assert.deepEqual(
    turns.map(({ text }) => text),
    [`${MARKER} one`, `${MARKER} two`],
  );
  const [summary] = transcripts(call).filter(({ kind }) => kind === 'summary');
  assert.ok(summary);
  assert.equal(summary.turns, 2);
  assert.equal((await openTranscript(second.codec, summary)).from, CALLER);
  const [profile] = bench.cosmos.documents('rtvoice', 'profiles');
  assert.ok(profile);
  assert.equal((await openProfile(second.codec, profile)).favourite, MARKER);
});

test('an owner that writes everything again, or the one after it, writes the same bytes: nothing comes twice', async () => {
  const [first, second] = [await newWorker(bench), await newWorker(bench)];
  const call = newCallId();
  const manager = await wholeCall(first, call);
  const read = async () =>
    (await bench.client.command<[string, string[]][]>('XRANGE', bench.keys.callKey(call, 'outbox'), '-', '+')).map(
      ([, fields]) => fields,
    );
  const before = await read();
  await manager.persist({ full: true });
  assert.deepEqual(await read(), before);
  // The key store has lost the key, so that whoever asked it would get another.
  await bench.client.command('DEL', bench.keys.profileKey(callerId(), 'keys'));
  for (const { id } of bench.cosmos.documents('rtvoice', 'keys'))
    await bench.database.container('keys').item(String(id), callerId()).delete();
  const outcome = await ConversationManager.fromRedis(conversationOptions(second.store, 2), call);
  assert.ok(outcome.kind === 'loaded');
  await outcome.manager.persist({ full: true });
  assert.deepEqual(await read(), before);
  await second.drain(call);
  // Redis has lost everything, and memory has it still.
  await bench.redis.flush();
  await outcome.manager.persist({ full: true });
  await first.drain(call);
  assert.equal(transcripts(call).length, 3);
});

test('erasing a caller makes all that was archived of them unreadable, in every process, and later calls start anew', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  await wholeCall(worker, call);
  await worker.drain(call);
  const [document] = transcripts(call);
  const [profile] = bench.cosmos.documents('rtvoice', 'profiles');
  assert.ok(document && profile);
  assert.ok(bench.cosmos.documents('rtvoice', 'keys').length > 0);
  const { keys } = await worker.keys.erase(callerId());
  assert.ok(keys >= 1);
  for (const each of [worker, await newWorker(bench)]) {
    await assert.rejects(openTranscript(each.codec, document), { code: 'ERR_RECORD_KEY_ERASED', status: 410 });
    await assert.rejects(openProfile(each.codec, profile), { code: 'ERR_RECORD_KEY_ERASED' });
    assert.ok((await each.counted('keyErased')) >= 2);
  }
  const next = newCallId();
  await wholeCall(worker, next);
  await worker.drain(next);
  const [fresh] = transcripts(next);
  assert.ok(fresh);
  assert.equal((await openTranscript(await newWorker(bench).then(({ codec }) => codec), fresh)).text, `${MARKER} one`);
  const [anew] = bench.cosmos.documents('rtvoice', 'profiles');
  assert.ok(anew);
  assert.equal((await openProfile(worker.codec, anew)).favourite, MARKER);
});

test('a key that travels while its caller is erased does not come back', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  await wholeCall(worker, call);
  await (await newWorker(bench)).keys.erase(callerId());
  await worker.drain(call);
  assert.deepEqual(transcripts(call), []);
  const stillThere = bench.cosmos.documents('rtvoice', 'keys').filter(({ id }) => id !== 'erasure');
  assert.deepEqual(stillThere, []);
  const quarantine = await everythingIn(bench.client);
  assert.ok(quarantine.includes('the key of the caller was erased'));
  assert.ok((await worker.counted('keyErased')) >= 3);
  // The process that did not erase has the old key in memory still; its next call must not get it.
  const next = newCallId();
  await wholeCall(worker, next);
  await worker.drain(next);
  assert.equal(transcripts(next).length, 3);
});

test('sealing comes in three steps: old and new records are read until plain ones are refused', async () => {
  const [off, migrating, on] = [
    await newWorker(bench, { mode: 'Off' }),
    await newWorker(bench, { mode: 'Migrating' }),
    await newWorker(bench),
  ];
  const call = newCallId();
  const plain = startCall(off.store, call);
  plain.appendToHistory('caller', 'in clear');
  await plain.persist();
  await assert.rejects(on.store.read(call), { code: 'ERR_RECORD_PLAIN' });
  assert.equal(await on.counted('plainRefused'), 1);
  const taken = await ConversationManager.fromRedis(conversationOptions(migrating.store, 2), call);
  assert.ok(taken.kind === 'loaded');
  assert.ok((await migrating.counted('plainRead')) >= 3);
  await taken.manager.persist({ full: true });
  taken.manager.appendToHistory('caller', 'sealed');
  await taken.manager.persist();
  assert.equal((await on.counted('opened')) === 0, true);
  // A worker that is still Off takes it back: it reads both.
  const back = await ConversationManager.fromRedis(conversationOptions(off.store, 3), call);
  assert.ok(back.kind === 'loaded');
  assert.deepEqual(
    back.manager.history.map(({ text }) => text),
    ['in clear', 'sealed'],
  );
});

test('the end record of a call that only the archive knew names nobody, and is taken and read in clear', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  const header = { v: 1, alg: 'none' };
  const entry = { callConnectionId: call, kind: 'summary', header } as const;
  const body = { v: 1, callConnectionId: call, reason: 'orphaned', turns: 1, workers: [], partial: true };
  assert.deepEqual(await worker.archive.write({ ...entry, id: 'summary', body }), { kind: 'written' });
  const [document] = transcripts(call);
  assert.ok(document);
  assert.equal((await openTranscript(worker.codec, document)).reason, 'orphaned');
  const named = { ...body, from: CALLER };
  assert.equal((await worker.archive.write({ ...entry, id: 'other', body: named })).kind, 'refused');
  await assert.rejects(
    worker.codec.open({ kind: 'summary', id: `${call}/x` }, JSON.stringify({ ...header, body: named })),
    {
      code: 'ERR_RECORD_PLAIN',
    },
  );
});

test('verification finds what was planted in clear in either store, and says where but not what', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  await wholeCall(worker, call);
  await worker.drain(call);
  await bench.redis.flush();
  const clean = await verify();
  assert.deepEqual(clean.map(violationCount), [0, 0]);
  const planted = await newWorker(bench, { mode: 'Off' });
  const naked = newCallId();
  const manager = await wholeCall(planted, naked);
  assert.equal(manager.dirty, false);
  await bench.database.container('transcripts').items.create({
    id: 'turn-000001',
    callConnectionId: naked,
    kind: 'turn',
    seq: 1,
    text: MARKER,
    envelope: { v: 1, alg: 'none' },
  });
  // Written by an application beside the owner's record, and a copy that something else than a codec wrote.
  await bench.client.command('HSET', bench.keys.callKey(naked, 'session'), 'note', MARKER);
  await bench.client.command('SET', bench.keys.profileKey(callerId()), JSON.stringify({ name: MARKER }), 'PX', 60_000);
  const [inRedis, inCosmos] = await verify();
  assert.deepEqual(Object.fromEntries(inRedis.violations), {
    session: 1,
    context: 1,
    turn: 4,
    profile: 1,
    summary: 2,
    application: 1,
    unreadable: 1,
  });
  assert.deepEqual(Object.fromEntries(inCosmos.violations), { turn: 1 });
  assert.deepEqual(inCosmos.examples, [`transcripts/${naked}/turn-000001`]);
  assert.ok(!JSON.stringify([inRedis, inCosmos]).includes('marker'));
});

test('a call whose id holds a slash is sealed under its own caller', async () => {
  const { codec } = await newWorker(bench);
  const session = (id: string, from: string) => codec.seal({ kind: 'session', id }, { from, callConnectionId: id });
  const kidOf = (text: string) => (JSON.parse(text) as { kid: string }).kid;
  const [one, two] = [kidOf(await session('a', '4:+15550001')), kidOf(await session('a/b', '4:+15550002'))];
  assert.notEqual(one, two);
  assert.equal(kidOf(await codec.seal({ kind: 'context', id: 'a/b' }, { x: 1 })), two);
  assert.equal(kidOf(await codec.seal({ kind: 'turn', id: 'a/b/turn-000001' }, { text: 'x' })), two);
  assert.equal(kidOf(await codec.seal({ kind: 'turn', id: 'a/turn-000001' }, { text: 'x' })), one);
});
