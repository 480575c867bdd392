import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePool } from '../../contract/pool.ts';
import type { PoolReport } from '../../controller/manager.ts';
import { readJson } from '../../controller/runtime/durable_file.ts';
import { StateFolder } from '../../controller/runtime/state_folder.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { type ProcessIdentity, signal } from '../../platform/processes.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { startRedis, type TestRedis } from './redis.ts';

const script = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const KEY = 'internal-key-of-the-tests';
const LIMIT_MS = 20_000;

/** A local controller with stand-in workers, a real Redis and a state folder of its own; all of it goes with it. */
export class LocalController implements AsyncDisposable {
  readonly redis: TestRedis;
  readonly folder: StateFolder;
  readonly leases: RedisLeaseTable;
  readonly #client: RedisClient;
  #child: ChildProcess | undefined;
  #env: Record<string, string> = {};

  private constructor(redis: TestRedis, folder: StateFolder) {
    this.redis = redis;
    this.folder = folder;
    const registry = createRegistry({ processMetrics: false });
    this.#client = new RedisClient({ url: redis.url, role: 'patient', clock: systemClock, log: silentLog, registry });
    this.leases = new RedisLeaseTable({
      client: this.#client,
      keys: new RedisKeyManager({ environment: 'test', appPrefix: 'rtvoice' }),
      pool: { namespace: 'local', pool: 'desk' },
    });
  }

  static async start(spec: Record<string, unknown> = {}, env: Record<string, string> = {}): Promise<LocalController> {
    const redis = await startRedis();
    const folder = new StateFolder(await mkdtemp(join(tmpdir(), 'rtvoice-controller-')));
    const local = new LocalController(redis, folder);
    local.#env = env;
    await writeFile(local.poolFile, poolText(spec));
    try {
      await local.launch();
    } catch (error) {
      await local[Symbol.asyncDispose]();
      throw error;
    }
    return local;
  }

  get poolFile(): string {
    return join(this.folder.path, 'pool.yaml');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get frontUrl(): string {
    return `http://127.0.0.1:${readFileSync(this.folder.frontPort, 'utf8')}`;
  }

  /** Starts the controller process and waits until its API listens; the pool document is applied by it. */
  async launch(): Promise<void> {
    this.#child = this.spawn();
    const pid = this.#child.pid;
    await until('the controller listens', () => {
      if (this.#child?.exitCode !== null) throw new Error(`the controller ended: ${this.log('controller')}`);
      const note = readJson<{ pid: number; port: number }>(this.folder.controller);
      return note?.pid === pid && note?.port;
    });
  }

  /** One more controller process on the same folder. */
  spawn(): ChildProcess {
    const out = openSync(join(this.folder.path, 'controller.log'), 'a');
    const child = spawn(process.execPath, [script('controller/main.ts')], {
      stdio: ['ignore', out, out],
      env: {
        PATH: process.env.PATH ?? '',
        RTVOICE_STATE_DIR: this.folder.path,
        RTVOICE_POOL_FILE: this.poolFile,
        RTVOICE_REDIS_URL: this.redis.url,
        RTVOICE_INTERNAL_KEYS: KEY,
        RTVOICE_WORKER_ENTRY: script('test/support/stand_in_worker.ts'),
        RTVOICE_LOG_LEVEL: 'debug',
        ...this.#env,
      },
    });
    closeSync(out);
    return child;
  }

  log(name: string): string {
    return readFileSync(join(this.folder.path, `${name}.log`), 'utf8').slice(-6_000);
  }

  async kill(name: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(name);
    await exited;
  }

  async request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const note = readJson<{ port: number }>(this.folder.controller);
    const response = await fetch(`http://127.0.0.1:${note?.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${readFileSync(this.folder.token, 'utf8').trim()}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  async pool(): Promise<PoolReport> {
    const { body } = await this.request('GET', '/pools');
    const [pool] = (body as { pools: PoolReport[] }).pools;
    if (!pool) throw new Error('no pool');
    return pool;
  }

  async workers(): Promise<NonNullable<PoolReport['status']>['workers']> {
    return (await this.pool()).status?.workers ?? [];
  }

  /** Waits for `count` ready workers and returns them. */
  async ready(count: number): Promise<NonNullable<PoolReport['status']>['workers']> {
    await until(
      `${count} ready workers`,
      async () => (await this.pool()).status?.readyWorkers === count,
      () => this.log('controller'),
    );
    return (await this.workers()).filter((worker) => worker.ready);
  }

  async tell(endpoint: string | undefined, path: string, body: unknown = {}): Promise<void> {
    const response = await fetch(`${endpoint}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  }

  processOf(worker: string): ProcessIdentity {
    const record = readJson<ProcessIdentity>(this.folder.record(worker));
    if (!record) throw new Error(`no record of ${worker}`);
    return { pid: record.pid, startTicks: record.startTicks };
  }

  frontProcess(): ProcessIdentity {
    const note = readJson<ProcessIdentity>(this.folder.front);
    if (!note) throw new Error('no front');
    return { pid: note.pid, startTicks: note.startTicks };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL');
    const all = this.folder.names('records').map((id) => readJson<ProcessIdentity>(this.folder.record(id)));
    for (const one of [...all, readJson<ProcessIdentity>(this.folder.front)]) if (one?.pid) signal(one, 'SIGKILL');
    await this.#client.close();
    await this.redis[Symbol.asyncDispose]();
    await rm(this.folder.path, { recursive: true, force: true });
  }
}

/** Runs `body` against a controller of its own and takes everything away afterwards. */
export async function withController(
  args: Parameters<typeof LocalController.start>,
  body: (local: LocalController) => Promise<void>,
): Promise<void> {
  const local = await LocalController.start(...args);
  try {
    await body(local);
  } catch (error) {
    process.stderr.write(local.log('controller'));
    throw error;
  } finally {
    await local[Symbol.asyncDispose]();
  }
}

export function poolText(spec: Record<string, unknown> = {}): string {
  const document = {
    apiVersion: 'rtvoice.dev/v1alpha1',
    kind: 'VoiceWorkerPool',
    metadata: { name: 'desk' },
    spec: {
      environment: 'test',
      minWorkers: 2,
      maxWorkers: 5,
      slotsPerWorker: 4,
      // These pools have no calls that a canary could be judged by.
      update: { canary: { workers: 0 } },
      ...spec,
      scaling: { intervalSeconds: 1, ...(spec.scaling as object | undefined) },
    },
  };
  parsePool(JSON.stringify(document));
  return JSON.stringify(document);
}

/** Polls until `probe` holds, or fails after a bound that only a broken system reaches. */
export async function until(what: string, probe: () => unknown, context?: () => string): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  let last: unknown;
  while (performance.now() < deadlineMs) {
    try {
      if (await probe()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain: ${what}; last: ${last}\n${context?.() ?? ''}`, { cause: last });
}

export { isRunning as isAliveProcess } from '../../platform/processes.ts';
