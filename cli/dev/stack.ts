import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readPool } from '../../contract/pool.ts';
import { ringPath } from '../../contract/urls.ts';
import { freePort } from '../../platform/free_port.ts';
import { isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import { AzureControl } from '../../simulators/client.ts';
import { entry } from '../entry.ts';
import { Children, type stop } from './children.ts';
import { LocalReader, readJson } from './controller_client.ts';
import { endLeftovers } from './leftovers.ts';
import { redisArguments } from './redis_server.ts';
import { AZURE_FILE, type StateDir } from './state_dir.ts';

export interface Stack {
  publicUrl: string;
  ringUrl: string;
  namespace: string;
  pool: string;
  environment: string;
  keyPrefix: string;
  azure: AzureControl;
  reader: LocalReader;
  redisUrl: string;
  /** Environment of the workers, for what speaks to the same stores. */
  env: Record<string, string>;
  stop(graceSeconds: number): Promise<void>;
}

const NAMESPACE = 'local';
const START_LIMIT_MS = 30_000;
const STOP_GRACE_MS = 5_000;

/** Starts local mode's parts in order: Redis and the simulated Azure side by side, then the controller, which starts the front and the workers. */
export async function startStack(dir: StateDir, poolFile: string, say: (line: string) => void): Promise<Stack> {
  const { metadata, spec } = readPool(poolFile);
  await endLeftovers(dir, say);
  const children = new Children(dir);
  try {
    return await startParts(dir, children, {
      poolFile,
      pool: metadata.name,
      minWorkers: spec.minWorkers,
      environment: spec.environment,
      keyPrefix: spec.redis.keyPrefix,
    });
  } catch (error) {
    await children.stopAll(STOP_GRACE_MS);
    await endLeftovers(dir, () => undefined);
    throw error;
  }
}

async function startParts(
  dir: StateDir,
  children: Children,
  wanted: { poolFile: string; pool: string; minWorkers: number; environment: string; keyPrefix: string },
): Promise<Stack> {
  const secrets = dir.secrets();
  const redisPort = await freePort();
  const redisUrl = `redis://127.0.0.1:${redisPort}`;
  const redis = children.start('redis', 'redis-server', redisArguments(redisPort, dir.file('redis')), {});
  const portFile = dir.file(AZURE_FILE);
  const azureProcess = children.start(
    'azure',
    process.execPath,
    [entry('simulators/main'), '--dir', dir.file('azure'), '--port-file', portFile],
    {
      RTVOICE_EVENTGRID_KEYS: secrets.eventGridKey,
    },
  );
  const azure = await children.ready(azureProcess, START_LIMIT_MS, () => {
    const found = readJson<{ env: Record<string, string>; controlUrl: string; token: string; pid: number }>(portFile);
    return found?.pid === azureProcess.pid ? found : undefined;
  });
  await children.ready(redis, START_LIMIT_MS, () => answers(redisPort));
  const env: Record<string, string> = {
    ...azure.env,
    RTVOICE_STATE_DIR: dir.path,
    RTVOICE_POOL_FILE: wanted.poolFile,
    RTVOICE_NAMESPACE: NAMESPACE,
    RTVOICE_REDIS_URL: redisUrl,
    RTVOICE_INTERNAL_KEYS: secrets.internalKey,
    RTVOICE_CALL_TOKEN_KEYS: secrets.callTokenKey,
    RTVOICE_CALLER_ID_KEY: secrets.callerIdKey,
    RTVOICE_SEALING_MODE: 'On',
    RTVOICE_KEY_RING: await dir.keyRing(),
    RTVOICE_WORK_DIR: dir.path,
    RTVOICE_STATUS_TEXT: 'true',
  };
  const controller = children.start('controller', process.execPath, [entry('controller/main')], env);
  const reader = new LocalReader(dir.path, secrets.internalKey);
  const publicUrl = await children.ready(controller, START_LIMIT_MS, () => frontUrl(dir));
  await children.ready(controller, START_LIMIT_MS, async () => {
    const pools = (await reader.controller('GET', '/pools')) as
      | { pools: { status?: { readyWorkers?: number } }[] }
      | undefined;
    return (pools?.pools[0]?.status?.readyWorkers ?? 0) >= wanted.minWorkers ? true : undefined;
  });
  return {
    publicUrl,
    ringUrl: `${publicUrl}${ringPath({ namespace: NAMESPACE, pool: wanted.pool })}`,
    namespace: NAMESPACE,
    pool: wanted.pool,
    environment: wanted.environment,
    keyPrefix: wanted.keyPrefix,
    azure: new AzureControl({ url: azure.controlUrl, token: azure.token }),
    reader,
    redisUrl,
    env,
    async stop(graceSeconds) {
      await endController(reader, controller, graceSeconds);
      await children.stopAll(STOP_GRACE_MS);
    },
  };
}

/** The controller ends workers and front in order, then itself. One that does not answer was killed: what it left is ended by its records. */
async function endController(
  reader: LocalReader,
  controller: Parameters<typeof stop>[0],
  graceSeconds: number,
): Promise<void> {
  const asked = await reader.controller('POST', '/shutdown', { graceSeconds });
  if (asked === undefined) return;
  await waitForEnd(controller, (graceSeconds + 15) * 1_000);
}

async function waitForEnd(identity: ProcessIdentity, limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (isRunning(identity) && performance.now() < endMs) await delay(20);
}

function frontUrl(dir: StateDir): string | undefined {
  const front = readJson<ProcessIdentity & { port: number }>(join(dir.path, 'front.json'));
  return front && isRunning(front) ? `http://127.0.0.1:${front.port}` : undefined;
}

/** True once the server answers PING; undefined before. */
function answers(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (value: true | undefined) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('error', () => end(undefined));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (reply) => end(reply.toString().startsWith('+PONG') ? true : undefined));
    socket.setTimeout(500, () => end(undefined));
  });
}
