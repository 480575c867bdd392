/**
 * A worker process without calls of its own: it speaks the two listeners, the ready file and the lease table as a real worker does,
 * so that the controller and the front can be tried without Azure, audio and uWebSockets.js.
 * Extra paths of its internal listener: POST /stand-in/figures (JSON that replaces figures), POST /stand-in/end (ends all its calls).
 */
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setInterval, setTimeout } from 'node:timers';
import { WebSocketServer } from 'ws';
import { newIncarnation } from '../../contract/ids.ts';
import { readPool } from '../../contract/pool.ts';
import { systemClock } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import type { HeldLease } from '../../state/ports.ts';
import { RedisClient } from '../../state/redis/client.ts';

const env = (name: string): string => process.env[name] ?? '';
const worker = env('RTVOICE_WORKER_ID');
const incarnation = newIncarnation(systemRandom);
const pool = { namespace: env('RTVOICE_NAMESPACE'), pool: env('RTVOICE_POOL') };
const { spec } = readPool(env('RTVOICE_POOL_FILE'));
const key = env('RTVOICE_INTERNAL_KEYS').split(',')[0];
const log = createLog({ process: worker });

if (env('RTVOICE_STAND_IN_CRASH') === 'true') process.exit(1);

const client = new RedisClient({
  url: env('RTVOICE_REDIS_URL'),
  role: 'fastFail',
  clock: systemClock,
  log,
  registry: createRegistry({ processMetrics: false }),
});
const leases = new RedisLeaseTable({
  client,
  keys: new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix }),
  pool,
});

const held = new Map<string, HeldLease>();
const figures = { relayedSockets: 0, unsentRecords: 0, memoryBytes: 100 * 2 ** 20, memoryBaselineBytes: 90 * 2 ** 20 };
const memoryLimitBytes = spec.worker.memoryLimitMiB * 2 ** 20;
let draining = false;
let terminating = false;

const body = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
};

function metrics(): string {
  const lines: [string, number][] = [
    ['rtvoice_active_calls', held.size],
    ['rtvoice_call_capacity', draining ? 0 : spec.slotsPerWorker],
    ['rtvoice_worker_memory_bytes', figures.memoryBytes],
    ['rtvoice_worker_memory_baseline_bytes', figures.memoryBaselineBytes],
    ['rtvoice_worker_memory_limit_bytes', memoryLimitBytes],
    ['rtvoice_relayed_sockets', figures.relayedSockets],
    ['rtvoice_unsent_records', figures.unsentRecords],
  ];
  return lines.map(([name, value]) => `# TYPE ${name} gauge\n${name} ${value}\n`).join('');
}

async function internalRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/livez' || request.url === '/readyz') return void response.end('{}');
  if (request.headers.authorization !== `Bearer ${key}`) return void response.writeHead(401).end();
  switch (request.url) {
    case '/metrics':
      return void response.end(metrics());
    case '/drain':
      draining = true;
      return void response.writeHead(202).end('{}');
    case '/stand-in/figures':
      Object.assign(figures, JSON.parse(await body(request)));
      return void response.end('{}');
    case '/stand-in/end':
      for (const { callRef, fence } of held.values()) await leases.release({ callRef, fence, incarnation });
      held.clear();
      return void response.end('{}');
    default:
      return void response.writeHead(404).end();
  }
}

const internal = createServer((request, response) => void internalRequest(request, response));
const open = createServer((request, response) => {
  void body(request).then((text) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-worker': worker });
    response.end(JSON.stringify({ worker, method: request.method, path: request.url, bytes: text.length }));
  });
});
new WebSocketServer({ server: open }).on('connection', (socket) => {
  socket.send(`hello from ${worker}`);
  socket.on('message', (data) => socket.send(`${worker}: ${data}`));
});

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
const [publicPort, internalPort] = [await listen(open), await listen(internal)];
const endpoint = `http://127.0.0.1:${internalPort}`;

async function beat(): Promise<void> {
  const { affinity } = await leases.beat({
    v: 1,
    worker,
    incarnation,
    endpoint,
    activeCalls: held.size,
    slots: spec.slotsPerWorker,
    memoryLimitBytes,
    eventLoopLagMs: 0,
    admits: !draining,
    ...figures,
  });
  if (affinity?.state === 'draining') draining = true;
}

async function renew(): Promise<void> {
  const outcome = await leases.renew({ worker, incarnation, held: [...held.values()] });
  for (const { callRef } of outcome.lost) held.delete(callRef);
  for (const lease of outcome.unheld) {
    held.set(lease.callRef, { ...lease, callConnectionId: lease.callConnectionId ?? `conn-${lease.callRef}` });
    await leases.answered({
      callRef: lease.callRef,
      fence: lease.fence,
      incarnation,
      callConnectionId: `conn-${lease.callRef}`,
    });
  }
}

const complain = (error: unknown) => log.warn({ err: error }, 'Redis step failed');
setInterval(() => void beat().catch(complain), 300);
setInterval(() => void renew().catch(complain), 500);
setInterval(() => {
  if (terminating && held.size === 0) process.exit(0);
}, 50);
// Detached as a real worker is: a test run that is killed must not leave it behind for ever.
setTimeout(() => process.exit(0), 300_000);
process.on('SIGTERM', () => {
  draining = true;
  terminating = true;
});

const file = env('RTVOICE_READY_FILE');
writeFileSync(`${file}.tmp`, JSON.stringify({ publicPort, internalPort, pid: process.pid, incarnation }));
renameSync(`${file}.tmp`, file);
