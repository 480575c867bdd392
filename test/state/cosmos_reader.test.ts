import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { calls } from '../../cli/calls.ts';
import { EXIT } from '../../cli/io.ts';
import { exportCalls, Sink, transcripts } from '../../cli/transcripts.ts';
import { type Change, Journal } from '../../simulators/cosmos/journal.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import type { CosmosDatabase } from '../../state/cosmos/client.ts';
import { documentOf } from '../../state/cosmos/documents.ts';
import { CosmosReader } from '../../state/cosmos/reader.ts';
import { parseEnvelope } from '../../state/envelope.ts';
import type { ArchiveRecord } from '../../state/outbox/ports.ts';
import { type CosmosBench, KEY, listen, record, type Said, startCosmos, turn } from './cosmos_bench.ts';
import { OneKeyCodec } from './one_key_codec.ts';

async function startReading(t: TestContext, more: Parameters<typeof startCosmos>[1] = {}) {
  const bench = await startCosmos(t, more);
  const database = bench.open();
  await database.ensure();
  return { ...bench, database, archive: new CosmosArchive({ database }) };
}

/** The commands read the environment of their process; the account's authority comes through the state folder in the other test. */
function environment(t: TestContext, bench: CosmosBench, database: CosmosDatabase): void {
  const before = { ...process.env };
  Object.assign(process.env, { RTVOICE_COSMOS_ENDPOINT: bench.simulator.endpoint, RTVOICE_COSMOS_KEY: KEY });
  t.after(() => {
    process.env = before;
    database.close();
  });
}

function ended(call: string, turns: number, startedAtMs = 1) {
  const body = {
    v: 1,
    callConnectionId: call,
    turns,
    startedAtMs,
    endedAtMs: startedAtMs + 9_000,
    reason: 'callerHangUp',
  };
  return record(call, { kind: 'summary', id: 'summary', body: { ...body, workers: ['w-1'], partial: false } });
}

async function exported(database: CosmosDatabase, range = { fromMs: 0, toMs: 1e15 }, asArray = false) {
  const reader = new CosmosReader({ database, pageSize: 7 });
  const said = listen();
  const figures = await exportCalls(reader, reader.calls(range), new Sink(said, asArray));
  return { figures, text: said.text };
}

test('an export has every turn of every call once, in order, with how much of the call is there', async (t) => {
  const { archive, database } = await startReading(t, { partitions: 3 });
  for (const call of ['done', 'cut', 'live', 'beside']) {
    for (let seq = 1; seq <= 12; seq++) {
      if (call === 'cut' && seq > 9) continue;
      await archive.write(turn(call, seq));
    }
    if (call !== 'live') await archive.write(ended(call, 12, call === 'cut' ? 50 : 1));
  }
  await archive.write(turn('beside', 5, 'another owner'));
  // What stands beside another turn does not make up for one that is missing.
  for (const seq of [1, 2, 3]) await archive.write(turn('cut', seq, 'another owner'));
  const { figures, text } = await exported(database);
  assert.deepEqual(figures, { calls: 4, turns: 49, notComplete: 2 });
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const turnsOf = (call: string) => lines.filter((line) => line.kind === 'turn' && line.callConnectionId === call);
  assert.deepEqual(
    turnsOf('done').map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
  assert.deepEqual(
    turnsOf('beside')
      .filter(({ seq }) => seq === 5)
      .map(({ text: words, beside }) => [words, beside]),
    [
      ['text 5', false],
      ['another owner', true],
    ],
  );
  const states = new Map(
    lines.filter(({ kind }) => kind === 'call').map((each) => [each.callConnectionId, each.state]),
  );
  assert.deepEqual(Object.fromEntries(states), {
    done: 'complete',
    beside: 'complete',
    cut: 'incomplete',
    live: 'open',
  });
  const array = JSON.parse((await exported(database, undefined, true)).text);
  assert.equal(array.length, lines.length);
  assert.deepEqual((await exported(database, { fromMs: 40, toMs: 60 })).figures.calls, 1);
  assert.equal(JSON.parse((await exported(database, { fromMs: 900, toMs: 901 }, true)).text).length, 0);
});

test('what cannot be opened is told with its code, and the rest of the call is read', async (t) => {
  const { archive, database } = await startReading(t);
  await archive.write(turn('c', 1));
  await archive.write({
    ...turn('c', 2),
    header: { v: 1, alg: 'A256GCM' },
    body: { seq: 2, role: 'caller', sealed: 'x' },
  });
  await archive.write(ended('c', 2));
  const { text, figures } = await exported(database);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ kind, text: words, unreadable }) => [kind, words, unreadable]),
    [
      ['turn', 'text 1', undefined],
      ['turn', '', 'ERR_RECORD_SEALED'],
      ['call', undefined, undefined],
    ],
  );
  assert.equal(figures.notComplete, 0);
});

test('sealed turns are archived unopened and read with the keys', async (t) => {
  const { archive, database, simulator } = await startReading(t);
  const codec = new OneKeyCodec();
  const { id, kind, body } = turn('c', 1, 'my number is 4711');
  const sealed = parseEnvelope({ kind, id: 'c/turn-000001' }, await codec.seal({ kind, id: `c/${id}` }, body));
  assert.deepEqual(await archive.write(record('c', { id, kind, ...sealed })), { kind: 'written' });
  assert.deepEqual(await archive.write(record('c', { id, kind, ...sealed })), { kind: 'repeated' });
  assert.ok(!JSON.stringify(simulator.documents('rtvoice', 'transcripts')).includes('4711'));
  for await (const read of new CosmosReader({ database, codec }).call('c')) assert.deepEqual(read.body, body);
  codec.erase();
  for await (const read of new CosmosReader({ database, codec }).call('c'))
    assert.deepEqual([read.body, read.unreadable], [undefined, 'ERR_TEST_KEY_ERASED']);
});

test('one call for people and for programs; exit codes tell whether it is complete', async (t) => {
  const bench = await startReading(t);
  const { archive, database } = bench;
  environment(t, bench, database);
  for (const seq of [2, 1]) await archive.write(turn('c', seq));
  const shown = listen();
  assert.equal(await run(calls, ['show', 'c'], shown), EXIT.degraded);
  assert.match(shown.text, /^call c: open: there is no end record yet/);
  await archive.write(ended('c', 2));
  const complete = listen();
  assert.equal(await run(calls, ['show', 'c', '--json'], complete), EXIT.ok);
  const view = JSON.parse(complete.text);
  assert.deepEqual(
    [view.state, view.summary.turns, view.turns.map((each: { text: string }) => each.text)],
    ['complete', 2, ['text 1', 'text 2']],
  );
  await assert.rejects(run(calls, ['show', 'unknown'], listen()), { code: 'ERR_CALL_NOT_ARCHIVED' });
  const lines = listen();
  assert.equal(await run(transcripts, ['export', '--call', 'c'], lines), EXIT.ok);
  assert.equal(lines.text.trimEnd().split('\n').length, 3);
  assert.match(lines.errors, /^1 calls, 2 turns; 0 calls are not complete\n$/);
  for (const args of [
    ['export', '--from', 'x'],
    ['export', '--json', '--jsonl'],
    ['other'],
    ['export', '--call', 'c', '--to', '2026'],
  ])
    assert.equal(await run(transcripts, args, listen()), EXIT.error, args.join(' '));

  /** Trusts the bench's authority for the time of the command. */
  async function run(verb: typeof calls, args: string[], said: Said) {
    const { getCACertificates, setDefaultCACertificates } = await import('node:tls');
    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, bench.tls.caPem]);
    try {
      return await verb(args, said);
    } finally {
      setDefaultCACertificates(trusted);
    }
  }
});

test('many thousand turns are exported by a process whose heap could not hold them', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-export-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const dataFile = join(directory, 'cosmos.jsonl');
  const [callCount, turnCount] = [20, 1_000];
  Journal.rewrite(dataFile, seed(callCount, turnCount));
  const bench = await startCosmos(t, { dataFile });
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, bench.tls.caPem);
  const script = `
    import { transcripts } from ${JSON.stringify(import.meta.resolve('../../cli/transcripts.ts'))};
    import { processIo } from ${JSON.stringify(import.meta.resolve('../../cli/io.ts'))};
    process.exitCode = await transcripts(['export', '--jsonl'], processIo);
  `;
  // Their text alone is 60 MB.
  const args = ['--max-old-space-size=64', '--input-type=module', '--eval', script];
  const env = { RTVOICE_COSMOS_ENDPOINT: bench.simulator.endpoint, RTVOICE_COSMOS_KEY: KEY, NODE_EXTRA_CA_CERTS: ca };
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const closed = once(child, 'close');
  let [turns, last, inOrder] = [0, 0, true];
  const complete = new Set<string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const each = JSON.parse(line) as { kind: string; seq: number; callConnectionId: string; state: string };
    if (each.kind === 'turn') {
      turns += 1;
      inOrder &&= each.seq === last + 1;
      last = each.seq;
    } else {
      if (each.state === 'complete') complete.add(each.callConnectionId);
      last = 0;
    }
  }
  assert.deepEqual([turns, complete.size, inOrder], [callCount * turnCount, callCount, true]);
  assert.deepEqual(await closed, [0, null]);
});

function* changesOf(callCount: number, turnCount: number): Generator<Change[]> {
  const text = 'x'.repeat(3_000);
  const stored = (record: ArchiveRecord) => ({ ...documentOf(record), _etag: '"e"', _ts: 1 });
  yield [{ op: 'database', db: 'rtvoice' }];
  const definition = { id: 'transcripts', partitionKey: { paths: ['/callConnectionId'] } };
  yield [{ op: 'container', db: 'rtvoice', definition }];
  for (let n = 0; n < callCount; n++) {
    const call = `call-${n}`;
    const place = { op: 'put' as const, db: 'rtvoice', coll: 'transcripts', pk: JSON.stringify([call]) };
    for (let seq = 1; seq <= turnCount; seq++) yield [{ ...place, doc: stored(turn(call, seq, text)) }];
    yield [{ ...place, doc: stored(ended(call, turnCount)) }];
  }
}

const seed = (callCount: number, turnCount: number): Change[][] => [...changesOf(callCount, turnCount)];
