import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { PasswordFile } from '../../state/redis/password_file.ts';
import { startFaultProxy } from '../support/fault_proxy.ts';
import { eventually } from '../support/redis.ts';
import { killConnections, setPassword } from '../support/redis_identity.ts';
import { startSentinels, type TestSentinels } from '../support/redis_sentinel.ts';
import { CallTraffic, openClient, sample } from '../support/redis_traffic.ts';

const USER = 'worker';

let sentinels: TestSentinels;
let directory: string;
let file: string;

/** As a Secret volume does: the new text appears in one step. */
async function write(password: string): Promise<void> {
  await writeFile(`${file}.new`, `${password}\n`);
  await rename(`${file}.new`, file);
}

async function begin(t: TestContext, prefix: string) {
  const credentials = await PasswordFile.open({ path: file, user: USER, clock: systemClock, log: silentLog });
  t.after(() => credentials.close());
  const { client, registry } = openClient('Sentinel', sentinels.url, { credentials });
  t.after(() => client.close());
  await client.ready();
  const events: string[] = [];
  for (const event of ['up', 'down'] as const) client.on(event, () => events.push(event));
  const ids = Array.from({ length: 6 }, (_, index) => `${prefix}-${index}`);
  const traffic = new CallTraffic(client, 'Sentinel', ids);
  t.after(() => traffic.stop());
  await traffic.confirmed(60);
  return { client, registry, events, traffic };
}

describe('Redis behind Sentinels', () => {
  before(async () => {
    sentinels = await startSentinels();
    directory = await mkdtemp(join(tmpdir(), 'rtvoice-password-'));
    file = join(directory, 'password');
    await setPassword(sentinels.servers, USER, 'first-password');
    await write('first-password');
  });
  after(async () => {
    await sentinels[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  it('takes a new password from the file without a cut, and uses it after a kill', async (t) => {
    const { registry, events, traffic } = await begin(t, 'rotate');
    await setPassword(sentinels.servers, USER, 'second-password');
    await write('second-password');
    await eventually('the live connection has the new password', async () => {
      return (await sample(registry, 'rtvoice_redis_authentications_total{result="ok"}')) === 1;
    });
    await traffic.confirmed(60);
    assert.equal(events.length, 0);
    await killConnections(sentinels.servers, USER);
    await eventually('it is back', () => events.includes('up'));
    await traffic.confirmed(60);
    const outage = await traffic.finish();
    t.diagnostic(`rotation and kill: ${JSON.stringify(outage)}`);
  });

  it('comes back when it is told of the failover while it asks who is the master', async (t) => {
    await sentinels.settled();
    // Asking takes nearly all of the time between the loss and the news.
    const proxies = await Promise.all(sentinels.ports.map((port) => startFaultProxy({ port })));
    t.after(() => Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]())));
    const url = sentinels.urlOf(proxies.map(({ port }) => port));
    const clients = Array.from({ length: 6 }, () => openClient('Sentinel', url).client);
    t.after(() => Promise.all(clients.map((client) => client.close())));
    await Promise.all(clients.map((client) => client.ready()));
    for (const proxy of proxies) proxy.add({ type: 'latency', stream: 'downstream', latencyMs: 700 });
    const old = await sentinels.master();
    t.after(async () => {
      await old.restart();
      // Users are no part of the data.
      await setPassword(sentinels.servers, USER, 'second-password');
    });
    await old.kill();
    await sentinels.failedOver(old);
    for (const client of clients) await eventually('every client is back', () => client.available);
  });

  for (const how of ['freeze', 'kill'] as const) {
    it(`follows the master after a ${how} in mid-call, and leaves the old one`, async (t) => {
      await sentinels.settled(1);
      const { client, events, traffic } = await begin(t, `failover-${how}`);
      const old = await sentinels.master();
      // A frozen master stays so: it must be left, not waited for.
      t.after(() => (how === 'freeze' ? old.thaw() : undefined));
      if (how === 'freeze') old.freeze();
      else await old.kill();
      await eventually('the loss is told', () => events.includes('down'));
      await assert.rejects(client.command('GET', 'x'), { code: 'ERR_REDIS_UNAVAILABLE' });
      const next = await sentinels.failedOver(old);
      await eventually('the return is told', () => events.at(-1) === 'up');
      const port = /tcp_port:(\d+)/.exec(await client.command<string>('INFO', 'server'))?.[1];
      assert.equal(Number(port), next.port);
      await traffic.confirmed(60);
      const outage = await traffic.finish();
      t.diagnostic(`${how}: ${JSON.stringify(outage)}`);
    });
  }
});
