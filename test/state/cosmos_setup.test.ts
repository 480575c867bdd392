import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cosmos } from '../../cli/cosmos.ts';
import { EXIT } from '../../cli/io.ts';
import { CONTAINER_SPECS, COSMOS_CONTAINERS } from '../../state/cosmos/containers.ts';
import { type CosmosBench, entra, KEY, listen, startCosmos } from './cosmos_bench.ts';

const NAMES = CONTAINER_SPECS.map(({ id }) => id);

/** Runs the command against the simulator, with what it needs in the environment and in the state folder of a local mode. */
async function localMode(t: TestContext, bench: CosmosBench, key = KEY): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-cosmos-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, bench.tls.caPem);
  const env = { RTVOICE_COSMOS_ENDPOINT: bench.simulator.endpoint, RTVOICE_COSMOS_KEY: key, NODE_EXTRA_CA_CERTS: ca };
  await writeFile(join(directory, 'azure.json'), JSON.stringify({ env }));
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  return directory;
}

test('containers are as code says: keys, expiry, what is indexed, what is unique', async (t) => {
  const { open } = await startCosmos(t);
  const database = open();
  const report = await database.setUp();
  assert.equal(report.databaseOutcome, 'created');
  assert.deepEqual(
    report.containers.map(({ name, outcome }) => [name, outcome]),
    NAMES.map((name) => [name, 'created']),
  );
  for (const wanted of COSMOS_CONTAINERS) {
    const { resource } = await database.container(wanted.id).read();
    assert.deepEqual(resource?.partitionKey, wanted.partitionKey);
    assert.equal(resource?.defaultTtl, wanted.defaultTtl);
    assert.deepEqual(resource?.indexingPolicy, wanted.indexingPolicy);
  }
  const { resource } = await database.container('audit').read();
  assert.equal(resource?.partitionKey?.kind, 'MultiHash');
});

test('many places at once make everything once, and all of them succeed', async (t) => {
  const { open, simulator } = await startCosmos(t);
  // All are waited for, so that none is left behind when one fails.
  const settled = await Promise.allSettled(Array.from({ length: 12 }, () => open().setUp()));
  const reports = settled.map((each) => (each.status === 'fulfilled' ? each.value : assert.fail(String(each.reason))));
  for (const name of NAMES) {
    const outcomes = reports.map(({ containers }) => containers.find((each) => each.name === name)?.outcome);
    assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1, name);
    assert.ok(outcomes.every((outcome) => outcome === 'created' || outcome === 'equal'));
  }
  assert.equal(reports.filter(({ databaseOutcome }) => databaseOutcome === 'created').length, 1);
  assert.deepEqual(
    (await open().setUp()).containers.map(({ outcome }) => outcome),
    NAMES.map(() => 'equal'),
  );
  assert.deepEqual(simulator.documents('rtvoice', 'transcripts'), []);
});

test('what can be mended is mended, documents stay, and checking changes nothing', async (t) => {
  const { open, simulator, client } = await startCosmos(t);
  const database = open();
  await database.setUp();
  const transcripts = client.database('rtvoice').container('transcripts');
  await transcripts.items.create({ id: 'turn-000001', callConnectionId: 'c', text: 'kept' });
  const { resource } = await transcripts.read();
  assert.ok(resource);
  const { defaultTtl: _ttl, ...untimed } = resource;
  await transcripts.replace({
    ...untimed,
    indexingPolicy: { indexingMode: 'consistent', includedPaths: [{ path: '/*' }] },
  });
  const transcriptsOf = async (check: boolean) =>
    (await database.setUp({ check })).containers.find(({ name }) => name === 'transcripts');
  for (const _ of [1, 2]) {
    const checked = await transcriptsOf(true);
    assert.equal(checked?.outcome, 'different');
    assert.deepEqual(
      checked?.differences.map(({ what, severity }) => [what.split(' is ')[0], severity]),
      [
        ['default TTL', 'mendable'],
        ['excluded paths', 'mendable'],
      ],
    );
  }
  assert.equal((await transcriptsOf(false))?.outcome, 'mended');
  assert.equal((await transcriptsOf(false))?.outcome, 'equal');
  assert.equal(simulator.documents('rtvoice', 'transcripts')[0]?.text, 'kept');
  // A worker only needs what fits; it leaves the rest to people.
  await transcripts.replace(untimed);
  await database.ensure();
  assert.equal((await transcripts.read()).resource?.defaultTtl, undefined);
});

test('what cannot be mended is a named error with the way out; workers mind only what would refuse their documents', async (t) => {
  const { simulator, open } = await startCosmos(t, {
    provision: {
      odd: [
        { id: 'profiles', partitionKey: { paths: ['/userId'] }, defaultTtl: -1 },
        { id: 'analytics', partitionKey: { paths: ['/day'] } },
      ],
    },
  });
  const odd = open('odd');
  const report = await odd.setUp();
  assert.deepEqual(
    report.containers.filter(({ outcome }) => outcome === 'different').map(({ name }) => name),
    ['profiles', 'analytics'],
  );
  await odd.ensure(['transcripts', 'profiles']);
  await assert.rejects(odd.ensure(), {
    code: 'ERR_COSMOS_CONTAINER_MISMATCH',
    message: /analytics: partition key is \/day, wanted \/dayBucket$/,
    remedy: /cosmos init/,
  });
  assert.ok(simulator.documents('odd', 'audit'));
});

test('data roles of Entra may look but not make, and are told so', async (t) => {
  const { open } = await startCosmos(t);
  const early = open('rtvoice', entra('good'));
  assert.equal((await early.setUp({ check: true })).databaseOutcome, 'missing');
  await assert.rejects(early.setUp(), { code: 'ERR_COSMOS_SETUP_DENIED', message: /rtvoice/ });
  await open().setUp();
  assert.ok((await early.setUp()).containers.every(({ outcome }) => outcome === 'equal'));
  await assert.rejects(open('rtvoice', entra('bad')).setUp({ check: true }), { code: 401 });
});

test('the command says what it found and did, for people and for programs', async (t) => {
  const bench = await startCosmos(t);
  const stateDir = await localMode(t, bench);
  const run = async (...args: string[]) => {
    const said = listen();
    const code = await cosmos(['init', '--state-dir', stateDir, ...args], said);
    return { code, text: said.text };
  };
  const checked = await run('--check');
  assert.equal(checked.code, EXIT.degraded);
  assert.match(checked.text, /^database rtvoice: missing\n/);
  const made = await run('--json');
  assert.equal(made.code, EXIT.ok);
  assert.deepEqual(
    JSON.parse(made.text).containers.map((each: { outcome: string }) => each.outcome),
    NAMES.map(() => 'created'),
  );
  const again = await run();
  assert.equal(again.code, EXIT.ok);
  assert.match(again.text, /CONTAINER +OUTCOME +DIFFERENCES\ntranscripts +equal +-\n/);
  assert.equal(await cosmos(['other'], listen()), EXIT.error);
  // The command has put what it found there into its own environment.
  delete process.env.RTVOICE_COSMOS_ENDPOINT;
  await assert.rejects(cosmos(['init', '--state-dir', join(stateDir, 'none')], listen()), {
    code: 'ERR_ARCHIVE_NOT_NAMED',
  });
});
