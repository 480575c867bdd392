import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { outboxFields, type StreamItem } from '../../state/calls/stored_records.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { SpoolBringer } from '../../state/spool/bringer.ts';
import { SpoolMetrics } from '../../state/spool/metrics.ts';
import { type Leases, openLeases } from '../support/leases.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { newClient } from './support.ts';

/** A process of its own that spools turns until it is killed; it names each one that counts as kept. */
const WRITER = new URL('../support/spool_writer.ts', import.meta.url).pathname;

let redis: TestRedis;
let leases: Leases;

before(async () => {
  redis = await startRedis();
  leases = await openLeases(redis.url);
  await leases.begin();
});
after(async () => {
  await leases.close();
  await redis[Symbol.asyncDispose]();
});

async function writer(t: TestContext, parent: string, call: string, options: { until: number; space?: string }) {
  const argv = ['--disable-warning=ExperimentalWarning', WRITER, parent, call];
  const child = options.space
    ? spawn('unshare', [
        '-rm',
        'sh',
        '-c',
        `mount -t tmpfs -o size=${options.space} none ${parent} && exec "$@"`,
        'sh',
        process.execPath,
        ...argv,
      ])
    : spawn(process.execPath, argv);
  t.after(() => child.kill('SIGKILL'));
  const kept: string[] = [];
  const refused: string[] = [];
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  let rest = '';
  for await (const chunk of child.stdout) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [what, detail = ''] = line.split(' ');
      if (what === 'kept') kept.push(detail);
      if (what === 'refused') refused.push(detail);
    }
    if (kept.length >= options.until || refused.length > 0) break;
  }
  assert.ok(kept.length > 0, errors);
  return { child, kept, refused };
}

function bringer(parent: string, client = leases.client) {
  const registry = createRegistry({ processMetrics: false });
  const metrics = new SpoolMetrics(registry);
  return {
    registry,
    bringer: new SpoolBringer({
      ...{ parent, redis: client, keys: callKeys(leases.keys), unsent: leases.table, outboxTtlMs: CALL_TTLS.outboxMs },
      ...{ clock: systemClock, random: systemRandom, log: silentLog, metrics },
    }),
  };
}

async function outbox(call: string): Promise<string[]> {
  const items = await leases.client.command<StreamItem[]>('XRANGE', callKeys(leases.keys).outbox(call), '-', '+');
  return items.map((item) => outboxFields(call, item).entryId);
}

async function newParent(t: TestContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'rtvoice-spool-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  return parent;
}

test('a killed process loses nothing that counted as kept: another brings it, once, in order', async (t) => {
  const parent = await newParent(t);
  const { child, kept } = await writer(t, parent, 'call-killed', { until: 40 });
  const [first, second] = [bringer(parent), bringer(parent)];
  await first.bringer.run();
  assert.deepEqual(await outbox('call-killed'), [], 'a live process keeps its spool');
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await Promise.all([first.bringer.run(), second.bringer.run()]);
  const brought = await outbox('call-killed');
  assert.deepEqual(brought.slice(0, kept.length), kept);
  assert.equal(new Set(brought).size, brought.length);
  assert.deepEqual(await readdir(parent), []);
  const unsent = (await leases.table.unsent(10)).map(({ callRef, callConnectionId }) => [callRef, callConnectionId]);
  assert.deepEqual(unsent, [['refcallkilled', 'call-killed']]);
  for (const [key, left] of await leases.ttls()) assert.ok(left > 0, key);
  await leases.table.markSent('refcallkilled');
});

test('while Redis is away the spool waits, and is brought afterwards', async (t) => {
  const parent = await newParent(t);
  const { child, kept } = await writer(t, parent, 'call-away', { until: 3 });
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  const client = newClient(redis, 'fastFail');
  t.after(() => client.close());
  await client.ready();
  redis.freeze();
  const { bringer: waiting, registry } = bringer(parent, client);
  await waiting.run();
  assert.equal((await readdir(parent)).length, 1);
  redis.thaw();
  if (!client.available) await once(client, 'up');
  await waiting.run();
  // The frozen server may have applied what it did not answer: each record stands once all the same.
  const brought = await outbox('call-away');
  assert.deepEqual(brought.slice(0, kept.length), kept);
  assert.equal(new Set(brought).size, brought.length);
  assert.match(await registry.metrics(), /rtvoice_spool_brought_total\{result="(new|known)"\} [1-9]/);
  await leases.table.markSent('refcallaway');
});

test('a full disk refuses new records by name and keeps those it has', async (t) => {
  const parent = await newParent(t);
  const { kept, refused, child } = await writer(t, parent, 'call-full', { until: 100_000, space: '256k' });
  assert.deepEqual(refused, ['ERR_SPOOL_FULL']);
  // The writer has read its own spool back before it told the refusal.
  assert.ok(kept.length > 5);
  child.kill('SIGKILL');
});
