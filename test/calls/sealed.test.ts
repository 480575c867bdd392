import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Azure } from '../../simulators/azure.ts';
import { everythingIn } from '../state/sealing_bench.ts';
import { newClient } from '../state/support.ts';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, code, codes, untilArchived } from '../support/story.ts';

const execute = promisify(execFile);
const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const CONTAINERS = ['transcripts', 'profiles', 'analytics', 'audit', 'metrics', 'keys'] as const;

/** Made as an operator makes it: by the command, with a key of the vault. */
async function newRing(t: TestContext, { keyVault, env }: Azure): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-ring-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'ring.json');
  await keyVault.createKey('rtvoice');
  const command = [cli, 'keys', 'add', '--ring', path, '--vault', keyVault.url];
  await execute(process.execPath, command, { env: { ...process.env, ...env } });
  assert.doesNotMatch(await readFile(path, 'utf8'), /"key"/);
  return path;
}

const everythingInCosmos = (fleet: Fleet) =>
  JSON.stringify(CONTAINERS.map((name) => fleet.azure.cosmos.documents('rtvoice', name)));

test('a sealed fleet leaves nothing in clear in any store, and a takeover goes on with the conversation', async (t) => {
  const env = async (azure: Azure) => ({ RTVOICE_SEALING_MODE: 'On', RTVOICE_KEY_RING: await newRing(t, azure) });
  const fleet = await Fleet.start({ env, azure: { mediaRedial: 'once' } });
  t.after(() => fleet.stop());
  const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(10, { pauseMs: 200 }) });
  const id = await answeredTurns(call, 3);
  const client = newClient(fleet.redis, 'patient');
  t.after(() => client.close());
  await client.ready();
  const inRedis = await everythingIn(client);
  assert.match(inRedis, /"alg":"A256GCM"|A256GCM/);
  for (const said of [code(1), code(2)]) assert.ok(!inRedis.includes(`"${said}"`), `${said} stands in Redis`);
  const owner = (await fleet.ownerOf(id))?.worker;
  assert.ok(owner);
  process.kill(owner.pid, 'SIGKILL');
  await untilArchived(fleet, id, 60_000);
  assert.equal(call.record.disconnectedBy, 'caller');

  const turns = fleet.azure.cosmos.documents('rtvoice', 'transcripts').filter(({ kind }) => kind === 'turn');
  assert.ok(turns.length >= 18, `${turns.length} turns`);
  const inCosmos = everythingInCosmos(fleet);
  for (let n = 1; n <= 10; n++) assert.ok(!inCosmos.includes(`"${code(n)}"`), `${code(n)} stands in Cosmos DB`);
  assert.ok(!inCosmos.includes('"wk"'), 'a caller key came along into the archive');
  assert.doesNotMatch(inCosmos, /4:\+\d/, 'a number stands in Cosmos DB');
  const keys = fleet.azure.cosmos.documents('rtvoice', 'keys');
  const kids = new Set(turns.map(({ envelope }) => (envelope as { kid: string }).kid));
  for (const kid of kids) assert.ok(JSON.stringify(keys).includes(kid), `the key ${kid} of a record is in no store`);
});
