import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { signal } from '../../platform/processes.ts';
import { isAliveProcess, type LocalController, until, withController } from '../support/local_controller.ts';

const ring = (id: string) => ({
  v: 1,
  ringId: id,
  correlationId: `c-${id}`,
  incomingCallContext: 'sealed',
  from: 'a',
  to: 'b',
  serverCallId: 's',
});

describe('local controller', { timeout: 180_000 }, () => {
  it('makes minWorkers workers that the lease table places calls on', () =>
    withController([], async (local) => {
      const workers = await local.ready(2);
      await until('a call is placed', async () => {
        const outcome = await local.leases.place({ ring: ring('r1'), newCallRef: 'callref00001', strategy: 'Spread' });
        return outcome.kind === 'placed' && workers.some(({ id }) => id === outcome.lease.worker);
      });
      const { status } = await local.pool();
      assert.equal(status?.conditions.find(({ type }) => type === 'Ready')?.status, 'True');
      assert.equal((await fetch(`${local.frontUrl}/elsewhere`)).status, 404);
    }));

  it('killed with SIGKILL it leaves workers and front running; the next one adopts them under a higher fence', () =>
    withController([], async (local) => {
      const before = await local.ready(2);
      const processes = before.map(({ id }) => local.processOf(id));
      const front = local.frontProcess();
      const fence = (await local.leases.affinity(before[0]?.id ?? ''))?.controllerFence ?? 0;
      await local.kill('SIGKILL');
      assert.ok([...processes, front].every(isAliveProcess));

      await local.launch();
      const after = await local.ready(2);
      assert.deepEqual(after.map(({ id }) => id).sort(), before.map(({ id }) => id).sort());
      assert.deepEqual(local.frontProcess(), front);
      await until('the record is written under the new fence', async () => {
        const record = await local.leases.affinity(before[0]?.id ?? '');
        return record?.controllerFence === fence + 1 && record.state === 'admitting';
      });

      // An adopted worker is nobody's child: its end shows in /proc only.
      const [victim] = before;
      assert.ok(victim);
      signal(local.processOf(victim.id), 'SIGKILL');
      await replaced(local, victim.id);
    }));

  it('goes on with the note of an older version, which lacks what has been added since', () =>
    withController([], async (local) => {
      const before = await local.ready(2);
      await local.kill('SIGTERM');
      const note = local.folder.pool('desk');
      const { document, ...rest } = JSON.parse(readFileSync(note, 'utf8'));
      const { redis: _redis, drain: _drain, ...spec } = document.spec;
      writeFileSync(note, JSON.stringify({ ...rest, document: { ...document, spec } }));

      await local.launch();
      const after = await local.ready(2);
      assert.deepEqual(after.map(({ id }) => id).sort(), before.map(({ id }) => id).sort());
      assert.equal((await local.pool()).spec.redis.affinitySeconds, 300);
    }));

  it('replaces a dead worker under a new id and says `gone` of the incarnation that ended', () =>
    withController([], async (local) => {
      const [victim] = await local.ready(2);
      assert.ok(victim);
      signal(local.processOf(victim.id), 'SIGKILL');
      await until('the record says gone', async () => {
        const record = await local.leases.affinity(victim.id);
        return record?.state === 'gone' && record.incarnation === victim.incarnation;
      });
      await replaced(local, victim.id);
    }));

  it('deletes a drained worker only when it has no call, no relayed socket and no unsent record left', () =>
    withController([], async (local) => {
      await local.ready(2);
      let owner = '';
      await until('a call is placed', async () => {
        const outcome = await local.leases.place({ ring: ring('r2'), newCallRef: 'callref00002', strategy: 'Spread' });
        if (outcome.kind === 'placed') owner = outcome.lease.worker;
        return outcome.kind === 'placed';
      });
      await until('the owner holds it', async () =>
        (await local.workers()).some(({ id, calls }) => id === owner && calls === 1),
      );
      const endpoint = (await local.workers()).find(({ id }) => id === owner)?.endpoint;
      const process = local.processOf(owner);
      await local.tell(endpoint, '/stand-in/figures', { unsentRecords: 3, relayedSockets: 1 });

      assert.equal((await local.request('POST', `/workers/${owner}/drain`)).status, 202);
      await local.ready(2);
      await waitsFor(local, owner, '1 calls');
      await local.tell(endpoint, '/stand-in/end');
      await waitsFor(local, owner, '1 relayed sockets, 3 unsent records');
      await local.tell(endpoint, '/stand-in/figures', { relayedSockets: 0 });
      await waitsFor(local, owner, 'drains: 3 unsent records');
      assert.ok(isAliveProcess(process));
      await local.tell(endpoint, '/stand-in/figures', { unsentRecords: 0 });
      await until('it is deleted', async () => !(await local.workers()).some(({ id }) => id === owner));
      assert.ok(!isAliveProcess(process));
    }));

  it('rolls workers one by one when the revision changes, and only changes slots and bounds live otherwise', () =>
    withController([], async (local) => {
      const before = await local.ready(2);
      const { spec } = await local.pool();
      const apply = (next: object) =>
        local.request('PUT', '/pools', {
          apiVersion: 'rtvoice.dev/v1alpha1',
          kind: 'VoiceWorkerPool',
          metadata: { name: 'desk' },
          spec: next,
        });
      assert.equal((await apply({ ...spec, minWorkers: 3, slotsPerWorker: 2 })).status, 200);
      const grown = await local.ready(3);
      assert.ok(before.every(({ id }) => grown.some((worker) => worker.id === id)));
      await until('slots take effect', async () => (await local.leases.affinity(before[0]?.id ?? ''))?.slots === 2);

      await apply({ ...spec, minWorkers: 3, call: { ...spec.call, maxDurationSeconds: 600 } });
      let most = 0;
      await until('all are of the new revision', async () => {
        const workers = await local.workers();
        most = Math.max(most, workers.filter(({ admission }) => admission === 'admitting').length);
        return (
          workers.length === 3 && workers.every((worker) => worker.ready && !grown.some(({ id }) => id === worker.id))
        );
      });
      assert.equal(most, 4);
      const { status } = await apply({ ...spec, environment: 'prod' });
      assert.equal(status, 409);
    }));

  it('holds the starts of a crash loop back and says so', () =>
    withController([{}, { RTVOICE_STAND_IN_CRASH: 'true' }], async (local) => {
      await until('the condition is set', async () => {
        const { status } = await local.pool();
        const loop = status?.conditions.find(({ type }) => type === 'WorkerCrashLoop');
        return loop?.status === 'True' && status?.phase === 'Degraded';
      });
    }));

  it('goes on after Redis was emptied: records are back and calls are placed again', () =>
    withController([], async (local) => {
      const [first] = await local.ready(2);
      await local.redis.flush();
      await until(
        'the record is back',
        async () => (await local.leases.affinity(first?.id ?? ''))?.state === 'admitting',
      );
      await until('a call is placed', async () => {
        const outcome = await local.leases.place({ ring: ring('r3'), newCallRef: 'callref00003', strategy: 'Spread' });
        return outcome.kind === 'placed';
      });
      await until('the pool has recovered', async () => (await local.pool()).status?.redis === 'Available');
    }));

  it('refuses a second controller on the same folder', () =>
    withController([], async (local) => {
      const second = local.spawn();
      const [code] = await once(second, 'exit');
      assert.equal(code, 3);
      assert.match(local.log('controller'), /another controller has this state folder/);
      await local.ready(2);
    }));

  it('ends everything when asked to shut down', () =>
    withController([], async (local) => {
      const workers = await local.ready(2);
      const processes = [...workers.map(({ id }) => local.processOf(id)), local.frontProcess()];
      assert.equal((await local.request('POST', '/shutdown', { graceSeconds: 5 })).status, 202);
      await until('all have ended', () => !processes.some(isAliveProcess));
      assert.deepEqual(local.folder.names('records'), []);
    }));
});

/** Two ready workers, and the victim is none of them. */
async function replaced(local: LocalController, victim: string): Promise<void> {
  await until(`${victim} is replaced`, async () => {
    const workers = (await local.workers()).filter((worker) => worker.ready);
    return workers.length === 2 && !workers.some(({ id }) => id === victim);
  });
}

async function waitsFor(local: LocalController, worker: string, text: string): Promise<void> {
  await until(`${worker} waits for ${text}`, async () => {
    const waiting = (await local.pool()).status?.waitingFor ?? [];
    return waiting.some((line) => line.startsWith(worker) && line.includes(text));
  });
}
