import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free_port.ts';
import { endServer, eventually, redisCli, spawnServer, startRedis, type TestRedis } from './redis.ts';
import { Cleanup } from './redis_cleanup.ts';

export const MASTER_NAME = 'calls';

/** A master with two replicas and three Sentinels that watch them, all real. */
export interface TestSentinels extends AsyncDisposable {
  /** For `RTVOICE_REDIS_URL`. */
  readonly url: string;
  /** Of the Sentinels. */
  readonly ports: readonly number[];
  /** As `url`, with the Sentinels at other ports. */
  urlOf(ports: readonly number[]): string;
  readonly servers: readonly TestRedis[];
  /** Whom the first Sentinel calls the master. */
  master(): Promise<TestRedis>;
  /** Resolves once every Sentinel names another master than `old`, and that one takes writes. */
  failedOver(old: TestRedis): Promise<TestRedis>;
  /** Resolves once the master has replicas in step (two unless told otherwise), so that it may be killed. */
  settled(replicas?: number): Promise<void>;
}

const DOWN_AFTER_MS = 600;
/** A second failover is not begun within twice this. */
const FAILOVER_TIMEOUT_MS = 1000;
const QUORUM = 2;

/** `serverArgs`: more arguments of each server; `login`: `user:password@` for the URL. */
export async function startSentinels(
  options: { serverArgs?: readonly string[]; login?: string } = {},
): Promise<TestSentinels> {
  const stack = new Cleanup();
  try {
    // A replica that is younger than this delay has no data yet and never takes over.
    const args = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...(options.serverArgs ?? [])];
    const first = stack.use(await startRedis({ args }));
    const replicas: TestRedis[] = [];
    for (let index = 0; index < 2; index++) {
      replicas.push(stack.use(await startRedis({ args: [...args, '--replicaof', '127.0.0.1', `${first.port}`] })));
    }
    const servers = [first, ...replicas];
    const ports: number[] = [];
    for (let index = 0; index < 3; index++) ports.push(await startSentinel(first.port, stack));
    const byPort = async (port: number) => {
      const [, master] = (await redisCli(port, 'SENTINEL', 'get-master-addr-by-name', MASTER_NAME)).split('\n');
      return servers.find((server) => server.port === Number(master));
    };
    const master = async () => {
      const found = await byPort(ports[0] ?? 0);
      if (!found) throw new Error('the Sentinels name a master that is not ours');
      return found;
    };
    const settled = async (replicas = 2) => {
      const { port } = await master();
      await eventually('replicas in step', async () => (await replicasOnline(port)) >= replicas);
      for (const sentinel of ports) {
        await eventually('a Sentinel that knows all others and both replicas', () => knowsAll(sentinel));
      }
    };
    await settled();
    const urlOf = (named: readonly number[]) =>
      `redis://${options.login ?? ''}${named.map((port) => `127.0.0.1:${port}`).join(',')}/0?master=${MASTER_NAME}`;
    return {
      url: urlOf(ports),
      ...{ ports, urlOf, servers },
      master,
      settled,
      failedOver: async (old) => {
        await eventually('every Sentinel names another master', async () => {
          const named = await Promise.all(ports.map(byPort));
          return named.every((server) => server !== undefined && server === named[0] && server !== old);
        });
        const next = await master();
        await eventually('it takes writes', async () => (await redisCli(next.port, 'ROLE')).startsWith('master'));
        return next;
      },
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

async function startSentinel(masterPort: number, stack: Cleanup): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-sentinel-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    'loglevel warning',
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = await spawnServer([file, '--sentinel'], port);
  stack.defer(() => endServer(child, 'SIGKILL'));
  return port;
}

async function replicasOnline(port: number): Promise<number> {
  const info = await redisCli(port, 'INFO', 'replication');
  return [...info.matchAll(/state=online/g)].length;
}

async function knowsAll(sentinel: number): Promise<boolean> {
  const info = await redisCli(sentinel, 'INFO', 'sentinel');
  return info.includes('status=ok') && info.includes('slaves=2,sentinels=3');
}
