import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { readSpool } from './folders.ts';
import type { SpoolRecord } from './frames.ts';
import { SpoolMetrics } from './metrics.ts';
import { Spool } from './spool.ts';

const record = (n: number, callConnectionId = 'c1'): SpoolRecord => ({
  ...{ callConnectionId, callRef: `r-${callConnectionId}`, entryId: `turn-${n}`, kind: 'turn' },
  ...{ dedupeId: `turn-${n}#x`, text: `{"v":1,"alg":"none","body":{"n":${n}}}` },
});

async function openSpool(t: TestContext, options: { maxBytes?: number; segmentBytes?: number } = {}) {
  const parent = await mkdtemp(join(tmpdir(), 'rtvoice-spool-'));
  const directory = join(parent, 'spool-1-1-a');
  const registry = createRegistry({ processMetrics: false });
  const metrics = new SpoolMetrics(registry);
  const spool = new Spool({ directory, maxBytes: 1_000_000, log: silentLog, metrics, ...options });
  t.after(async () => {
    await spool.close();
    await rm(parent, { recursive: true, force: true });
  });
  const stored = async () => (await readSpool(directory)).records.map(({ entryId }) => entryId);
  return { spool, directory, registry, stored };
}

test('a record is on the disk, for its owner alone, once it counts as kept', async (t) => {
  const { spool, directory, stored, registry } = await openSpool(t);
  assert.equal(existsSync(directory), false);
  await spool.keep([record(1), record(2)]);
  await spool.keep([record(2), record(3)]);
  assert.deepEqual(await stored(), ['turn-1', 'turn-2', 'turn-3']);
  assert.equal(spool.records, 3);
  const [part = ''] = await readdir(directory);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
  assert.equal((await stat(join(directory, part))).mode & 0o777, 0o600);
  assert.match(await registry.metrics(), /rtvoice_spool_records_total 3\n[\s\S]*rtvoice_spool_pending 3\n/);
});

test('what Redis has is not brought again, and empty parts and folders go', async (t) => {
  const { spool, directory, stored } = await openSpool(t, { segmentBytes: 1 });
  await spool.keep([record(1)]);
  await spool.keep([record(2)]);
  assert.equal((await readdir(directory)).length, 2);
  spool.settle('c1', ['turn-1', 'turn-7']);
  spool.settle('c2', ['turn-2']);
  await spool.keep([record(3)]);
  assert.deepEqual(await stored(), ['turn-2', 'turn-3']);
  assert.equal((await readdir(directory)).length, 2);
  spool.settle('c1', ['turn-2', 'turn-3']);
  await spool.close();
  assert.equal(existsSync(directory), false);
});

test('a record that Redis takes while it is on its way to the disk does not stay', async (t) => {
  const { spool, directory } = await openSpool(t);
  const kept = spool.keep([record(1)]);
  spool.settle('c1', ['turn-1']);
  await kept;
  assert.equal(spool.records, 0);
  await spool.close();
  assert.equal(existsSync(directory), false);
});

test('records that come together share a sync, and each waits for it', async (t) => {
  const { spool, stored } = await openSpool(t);
  await Promise.all(Array.from({ length: 200 }, (_, n) => spool.keep([record(n), record(n)])));
  assert.equal(new Set(await stored()).size, 200);
});

test('beyond its bound it refuses, keeps what it has, and new calls are refused before', async (t) => {
  const { spool, stored, registry } = await openSpool(t, { maxBytes: 1_000 });
  const kept: string[] = [];
  for (let n = 0; n < 20; n++) {
    const room = spool.bytes < 750;
    assert.equal(spool.admits, room);
    try {
      await spool.keep([record(n)]);
      kept.push(`turn-${n}`);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'ERR_SPOOL_FULL');
      break;
    }
  }
  assert.ok(kept.length > 3 && kept.length < 20);
  assert.deepEqual(await stored(), kept);
  assert.equal(spool.admits, false);
  spool.settle('c1', kept);
  await spool.keep([record(30)]);
  assert.equal(spool.admits, true);
  assert.match(await registry.metrics(), /rtvoice_spool_errors_total\{code="ERR_SPOOL_FULL"\} 0/);
});

test('a folder that cannot be written is a named error, and the next try may succeed', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'rtvoice-spool-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  await appendFile(join(parent, 'file'), 'x');
  const metrics = new SpoolMetrics(createRegistry({ processMetrics: false }));
  const spool = new Spool({ directory: join(parent, 'file', 'spool'), maxBytes: 1_000, log: silentLog, metrics });
  await assert.rejects(spool.keep([record(1)]), { code: 'ERR_SPOOL_FAILED', message: /ENOTDIR/ });
  assert.equal(spool.admits, true);
  await rm(join(parent, 'file'));
  await spool.keep([record(1)]);
  assert.equal(spool.records, 1);
  await spool.close();
  await chmod(parent, 0o700);
});

test('a part that was torn by a kill is read up to the tear', async (t) => {
  const { spool, directory } = await openSpool(t);
  await spool.keep([record(1), record(2)]);
  const [part = ''] = await readdir(directory);
  await appendFile(join(directory, part), Buffer.from([0, 0, 0, 99, 1, 2]));
  const { records, torn } = await readSpool(directory);
  assert.deepEqual([records.map(({ entryId }) => entryId), torn], [['turn-1', 'turn-2'], 6]);
});
