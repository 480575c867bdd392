import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type CosmosSimulator, startCosmosSimulator } from '../../simulators/cosmos/server.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { type CosmosDatabase, openCosmos } from '../../state/cosmos/client.ts';
import { COSMOS_CONTAINERS } from '../../state/cosmos/containers.ts';
import type { ArchiveRecord } from '../../state/outbox/ports.ts';
import { newCallId } from './support.ts';
import { makeTls, type TestTls } from './tls.ts';

const KEY = Buffer.from('a master key of the simulator').toString('base64');
let tls: TestTls;
let simulator: CosmosSimulator;
let database: CosmosDatabase;
let archive: CosmosArchive;
let throttles = 0;

before(async () => {
  tls = await makeTls();
  simulator = await startCosmosSimulator({ tls, masterKey: KEY, verifyToken: (token) => token === 'good' });
  database = open({ kind: 'key', key: KEY });
  await database.ensure();
  archive = new CosmosArchive({
    database,
    onThrottled: (count) => {
      throttles += count;
    },
  });
});
after(async () => {
  database.close();
  await simulator.stop();
});

function open(credential: Parameters<typeof openCosmos>[0]['credential'], name = 'rtvoice'): CosmosDatabase {
  return openCosmos({
    endpoint: simulator.endpoint,
    database: name,
    credential,
    caPem: tls.caPem,
    requestTimeoutMs: 2_000,
  });
}

function entra(token: string) {
  return {
    kind: 'entra' as const,
    credential: { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) },
  };
}

function turn(callConnectionId: string, seq: number, text = `text ${seq}`): ArchiveRecord {
  const body = { seq, role: 'caller', text, atMs: seq };
  return {
    callConnectionId,
    id: `turn-${String(seq).padStart(6, '0')}`,
    kind: 'turn',
    header: { v: 1, alg: 'none' },
    body,
  };
}

function profile(
  userId: string,
  id: string,
  patch: Record<string, unknown>,
  callConnectionId = 'call-1',
): ArchiveRecord {
  return {
    callConnectionId,
    id,
    kind: 'profile',
    header: { v: 1, alg: 'none' },
    body: { userId, patch, callConnectionId, atMs: 5 },
  };
}

test('the containers are made once, whoever asks and however often', async () => {
  await Promise.all([
    open({ kind: 'key', key: KEY }, 'raced').ensure(),
    open({ kind: 'key', key: KEY }, 'raced').ensure(),
  ]);
  await database.ensure();
  const { resource } = await database.container('transcripts').read();
  assert.deepEqual(resource?.partitionKey?.paths, ['/callConnectionId']);
});

test('an archive makes its containers before the first write, and again when they were dropped', async (t) => {
  const fresh = open({ kind: 'key', key: KEY }, 'fresh');
  t.after(() => fresh.close());
  const own = new CosmosArchive({ database: fresh });
  assert.deepEqual(await own.write(turn('call-x', 1)), { kind: 'written' });
  await fresh.container('transcripts').delete();
  assert.equal((await own.write(turn('call-x', 2))).kind, 'later');
  assert.deepEqual(await own.write(turn('call-x', 2)), { kind: 'written' });
});

test('records wait until the management plane has made what an Entra identity may not', async (t) => {
  const [entraOnly, management] = [open(entra('good'), 'late'), open({ kind: 'key', key: KEY }, 'late')];
  t.after(() => [entraOnly, management].map((each) => each.close()));
  const own = new CosmosArchive({ database: entraOnly });
  const early = await own.write(turn('call-x', 1));
  assert.ok(early.kind === 'later');
  assert.match(String(early.cause), /may not create them/);
  await management.ensure();
  assert.deepEqual(await own.write(turn('call-x', 1)), { kind: 'written' });
});

test('a container with another partition key is named, and no record is quarantined for it', async (t) => {
  const provision = { odd: [{ id: 'transcripts', partitionKey: { paths: ['/id'] } }] };
  const odd = await startCosmosSimulator({ tls, masterKey: KEY, provision });
  t.after(() => odd.stop());
  const credential = { kind: 'key' as const, key: KEY };
  const misfit = openCosmos({ endpoint: odd.endpoint, database: 'odd', credential, caPem: tls.caPem });
  t.after(() => misfit.close());
  await assert.rejects(misfit.ensure(), { code: 'ERR_COSMOS_CONTAINER_MISMATCH', message: /transcripts/ });
  assert.equal((await new CosmosArchive({ database: misfit }).write(turn('call-x', 1))).kind, 'later');
});

test('an Entra identity uses containers that exist and names what is missing otherwise', async () => {
  const good = open(entra('good'));
  await good.ensure();
  assert.deepEqual(await new CosmosArchive({ database: good }).write(turn(newCallId(), 1)), { kind: 'written' });
  await assert.rejects(open(entra('good'), 'nowhere').ensure(), {
    code: 'ERR_COSMOS_SETUP_DENIED',
    message: /nowhere/,
  });
  assert.equal((await new CosmosArchive({ database: open(entra('bad')) }).write(turn(newCallId(), 1))).kind, 'later');
  assert.deepEqual(
    COSMOS_CONTAINERS.map(({ id }) => id),
    ['transcripts', 'profiles', 'analytics', 'audit', 'metrics', 'keys'],
  );
});

test('a turn that is written again is there once', async () => {
  const call = newCallId();
  assert.deepEqual(await archive.write(turn(call, 1)), { kind: 'written' });
  assert.deepEqual(await archive.write(turn(call, 1)), { kind: 'repeated' });
  simulator.faults.replyLost = 1;
  assert.equal((await archive.write(turn(call, 2))).kind, 'later');
  assert.deepEqual(await archive.write(turn(call, 2)), { kind: 'repeated' });
  assert.deepEqual((await archive.recordIds(call)).sort(), ['turn-000001', 'turn-000002']);
});

test('another turn under a taken id is kept beside it', async () => {
  const call = newCallId();
  await archive.write(turn(call, 1, 'mine'));
  assert.deepEqual(await archive.write(turn(call, 1, 'yours')), { kind: 'keptBeside' });
  assert.deepEqual(await archive.write(turn(call, 1, 'yours')), { kind: 'repeated' });
  assert.deepEqual((await archive.readCall(call)).turns.map(({ text }) => text).sort(), ['mine', 'yours']);
});

test('a call is read in the order of speaking, with its end record', async () => {
  const call = newCallId();
  for (const seq of [2, 10, 1]) await archive.write(turn(call, seq));
  await archive.write({
    ...turn(call, 0),
    id: 'summary',
    kind: 'summary',
    body: { v: 1, reason: 'callerHangUp', turns: 3 },
  });
  const { turns, summary } = await archive.readCall(call);
  assert.deepEqual(
    turns.map(({ seq }) => seq),
    [1, 2, 10],
  );
  assert.equal(summary?.reason, 'callerHangUp');
  assert.deepEqual(turns[0], {
    seq: 1,
    role: 'caller',
    text: 'text 1',
    atMs: 1,
    id: 'turn-000001',
    callConnectionId: call,
    kind: 'turn',
    schemaVersion: 1,
    envelope: { v: 1, alg: 'none' },
  });
});

test('profile updates merge, meet each other, and count once each', async () => {
  const user = `user-${newCallId()}`;
  assert.deepEqual(await archive.write(profile(user, 'u1', { language: 'en', name: 'x' })), { kind: 'written' });
  assert.deepEqual(await archive.write(profile(user, 'u1', { language: 'de' })), { kind: 'repeated' });
  const many = [2, 3, 4].map((n) => archive.write(profile(user, `u${n}`, { [`field${n}`]: n }, `call-${n}`)));
  assert.deepEqual(
    (await Promise.all(many)).map(({ kind }) => kind),
    ['written', 'written', 'written'],
  );
  const [stored] = simulator.documents('rtvoice', 'profiles').filter(({ id }) => id === user);
  assert.deepEqual(
    [stored?.language, stored?.field2, stored?.field3, stored?.field4, stored?.callCount],
    ['en', 2, 3, 4, 4],
  );
});

test('trouble is told apart: it passes, it is throttled, it never passes', async () => {
  simulator.faults.down = true;
  const down = await archive.write(turn(newCallId(), 1));
  simulator.faults.down = false;
  assert.ok(down.kind === 'later' && !down.throttled);
  assert.match(String(down.cause), /Cosmos DB takes or gives nothing now: E/);
  simulator.faults.throttle = 2;
  assert.deepEqual(await archive.write(turn(newCallId(), 1)), { kind: 'written' });
  assert.equal(throttles, 2);
  simulator.faults.throttle = 1_000;
  const throttled = await archive.write(turn(newCallId(), 1));
  simulator.faults.throttle = 0;
  assert.ok(throttled.kind === 'later' && throttled.throttled);
  assert.match(String(throttled.cause), /status 429/);
  assert.equal((await archive.write(turn(newCallId(), 1, 'x'.repeat(2_200_000)))).kind, 'refused');
  assert.equal((await archive.write({ ...turn(newCallId(), 1), id: 'a/b' })).kind, 'refused');
  assert.equal((await archive.write({ ...turn(newCallId(), 1), kind: 'profile' })).kind, 'refused');
});

test('a process that trusts the local authority by NODE_EXTRA_CA_CERTS needs no option of ours, and any other is refused', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-ca-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, tls.caPem);
  const script = `
    import { CosmosArchive } from ${JSON.stringify(import.meta.resolve('../../state/cosmos/archive.ts'))};
    import { openCosmos } from ${JSON.stringify(import.meta.resolve('../../state/cosmos/client.ts'))};
    const credential = { kind: 'key', key: ${JSON.stringify(KEY)} };
    const database = openCosmos({ endpoint: ${JSON.stringify(simulator.endpoint)}, database: 'rtvoice', credential });
    const record = ${JSON.stringify(turn(newCallId(), 1))};
    const outcome = await new CosmosArchive({ database }).write(record);
    process.stdout.write(outcome.kind);
    database.close();
  `;
  const run = async (env: Record<string, string>) => {
    const args = ['--input-type=module', '--eval', script];
    return (await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } })).stdout;
  };
  assert.equal(await run({ NODE_EXTRA_CA_CERTS: ca }), 'written');
  assert.equal(await run({}), 'later');
});
