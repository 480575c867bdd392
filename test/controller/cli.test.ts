import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { drain } from '../../cli/drain.ts';
import { EXIT, type Io } from '../../cli/io.ts';
import { pool } from '../../cli/pool.ts';
import { type LocalController, poolText, until, withController } from '../support/local_controller.ts';

async function run(verb: typeof pool, local: LocalController, ...args: string[]) {
  const streams = { out: '', err: '' };
  const io: Io = {
    out: (text) => {
      streams.out += text;
    },
    err: (text) => {
      streams.err += text;
    },
    colour: false,
  };
  const code = await verb([...args, '--state-dir', local.folder.path], io);
  return { code, ...streams };
}

describe('rtvoice pool and rtvoice drain', { timeout: 120_000 }, () => {
  it('show, scale, apply and drain the running local mode', () =>
    withController([{ scaling: { mode: 'External' } }], async (local) => {
      await local.ready(2);
      await until('the pool is settled', async () => (await local.pool()).status?.phase === 'Ready');
      const shown = await run(pool, local, 'get');
      assert.equal(shown.code, EXIT.ok, shown.err);
      const [head, row] = shown.out.split('\n');
      assert.equal(head, 'NAME  READY  DESIRED  CALLS  CAPACITY  UTIL  DRAINING  REDIS      STATUS  AGE');
      assert.match(row ?? '', /^desk {2}2 {6}2 {8}0 {6}8 {9}0% {4}0 {9}Available {2}Ready {3}\d+s$/);
      assert.equal(JSON.parse((await run(pool, local, 'get', '-o', 'json')).out).pools[0].status.readyWorkers, 2);

      const scaled = await run(pool, local, 'scale', 'desk', '--replicas', '3');
      assert.deepEqual([scaled.code, scaled.out], [EXIT.ok, 'pool desk scaled to 3\n']);
      const [victim] = await local.ready(3);
      assert.ok(victim);
      await assert.rejects(run(pool, local, 'scale', 'desk', '--replicas', '9'), {
        code: 'ERR_SCALE_REFUSED',
        status: 409,
      });
      await assert.rejects(run(pool, local, 'scale', 'other', '--replicas', '3'), {
        code: 'ERR_POOL_UNKNOWN',
        status: 404,
      });

      const again = await run(pool, local, 'apply', local.poolFile);
      assert.match(again.out, /^pool desk unchanged /);
      await writeFile(local.poolFile, poolText({ scaling: { mode: 'Fixed' }, minWorkers: 1 }));
      assert.match(
        (await run(pool, local, 'apply', local.poolFile)).out,
        /^pool desk configured \(revision [0-9a-f]{10}\)\n$/,
      );
      await local.ready(1);
      await writeFile(local.poolFile, poolText().replace('"slotsPerWorker":4', '"slotsPerWorker":-4'));
      await assert.rejects(run(pool, local, 'apply', local.poolFile), { code: 'ERR_POOL_INVALID' });

      const [last] = await local.ready(1);
      assert.ok(last);
      const drained = await run(drain, local, last.id, '--watch');
      assert.equal(drained.code, EXIT.ok);
      assert.match(drained.err, new RegExp(`${last.id} is gone\n$`));
      const [next] = await local.ready(1);
      assert.notEqual(next?.id, last.id);
      await assert.rejects(run(drain, local, 'desk-zzzzz'), { code: 'ERR_WORKER_UNKNOWN' });
      const slip = await run(pool, local, 'get', '-o', 'yaml');
      assert.deepEqual([slip.code, slip.out], [EXIT.error, '']);
    }));

  it('say that the local mode does not run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rtvoice-empty-'));
    const io: Io = { out: () => undefined, err: () => undefined, colour: false };
    await assert.rejects(pool(['get', '--state-dir', folder], io), { code: 'ERR_LOCAL_MODE_AWAY' });
    await rm(folder, { recursive: true });
  });

  it('refuses a request without the token', () =>
    withController([], async (local) => {
      const port = JSON.parse((await import('node:fs')).readFileSync(local.folder.controller, 'utf8')).port;
      for (const path of ['/pools', '/metrics', '/explain/scale']) {
        assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 401);
      }
      for (const path of ['/livez', '/readyz'])
        assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 200);
      await local.ready(2);
      const { body } = await local.request('GET', '/explain/scale?pool=desk');
      const [decision] = (body as { decisions: { reason: string; terms: { usableSlots: number } }[] }).decisions;
      assert.ok(decision && decision.reason.length > 0 && Math.abs(decision.terms.usableSlots - 3.2) < 1e-9);
    }));
});
