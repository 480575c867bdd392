import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { identify } from '../../platform/processes.ts';
import { type Azure, type AzureOptions, startAzure } from '../../simulators/azure.ts';
import type { RedisMode } from '../../state/redis/target.ts';
import type { CallStatus, WorkerStatus } from '../../worker/ports.ts';
import { until } from './calls_worker.ts';
import { keyFaults } from './key_audit.ts';
import { startRedis, type TestRedis } from './redis.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const KEY = 'fleet-internal-key-0001';

export interface FleetOptions {
  /** Fields of the pool's `spec` that differ from the test's defaults. */
  spec?: Record<string, unknown>;
  azure?: Partial<AzureOptions>;
  /** Of every process, or what makes it from the simulated Azure. */
  env?: Record<string, string> | ((azure: Azure) => Promise<Record<string, string>>);
  /** Redis keeps its data over a restart. */
  persist?: boolean;
  /** In place of a server of its own; whoever started it ends it. */
  redis?: { mode: RedisMode; url: string };
}

export interface FleetWorker {
  id: string;
  pid: number;
  internalPort: number;
  incarnation: string;
}

/** Local mode as real processes, without callers: Redis, the simulated Azure (in this process), a controller, its front and its workers. */
export class Fleet {
  readonly azure: Azure;
  readonly dir: string;
  readonly #env: Record<string, string>;
  readonly #redis: TestRedis | undefined;
  /** Every key is looked at when the fleet is stopped. */
  keysAreInOrder = true;
  #controller: ChildProcess | undefined;

  private constructor(redis: TestRedis | undefined, azure: Azure, dir: string, env: Record<string, string>) {
    this.#redis = redis;
    this.azure = azure;
    this.dir = dir;
    this.#env = env;
  }

  static async start(options: FleetOptions = {}): Promise<Fleet> {
    const dir = mkdtempSync(join(tmpdir(), 'rtvoice-fleet-'));
    const redis = options.redis ? undefined : await startRedis({ persist: options.persist ?? false });
    const azure = await startAzure({ dir: join(dir, 'azure'), ...options.azure });
    const poolFile = join(dir, 'pool.yaml');
    const spec = {
      environment: 'test',
      minWorkers: 2,
      maxWorkers: 2,
      slotsPerWorker: 8,
      voice: { backend: 'Echo' },
      ...options.spec,
    };
    const document = { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', metadata: { name: 'desk' }, spec };
    writeFileSync(poolFile, stringify(document));
    const env = {
      ...process.env,
      ...azure.env,
      RTVOICE_STATE_DIR: join(dir, 'state'),
      RTVOICE_POOL_FILE: poolFile,
      RTVOICE_REDIS_MODE: options.redis?.mode ?? 'Standalone',
      RTVOICE_REDIS_URL: options.redis?.url ?? redis?.url,
      RTVOICE_INTERNAL_KEYS: KEY,
      RTVOICE_CALL_TOKEN_KEYS: 'fleet-call-token-key-0001',
      RTVOICE_CALLER_ID_KEY: 'fleet-caller-id-key-0001',
      RTVOICE_WORK_DIR: dir,
      RTVOICE_STATUS_TEXT: 'true',
      ...(typeof options.env === 'function' ? await options.env(azure) : options.env),
    } as Record<string, string>;
    const fleet = new Fleet(redis, azure, dir, env);
    try {
      await fleet.startController();
      await until(
        async () => (await fleet.readyWorkers()) >= Number(spec.minWorkers),
        'the workers admit calls',
        30_000,
      );
    } catch (error) {
      const logs = fleet.logs();
      await fleet.stop();
      throw new Error(`the fleet did not start:\n${logs}`, { cause: error });
    }
    return fleet;
  }

  /** The server of its own. */
  get redis(): TestRedis {
    if (!this.#redis) throw new Error('this fleet was given its Redis');
    return this.#redis;
  }

  get ringUrl(): string {
    return `${this.publicUrl}/p/local/desk/events`;
  }

  get publicUrl(): string {
    return `http://127.0.0.1:${readFileSync(join(this.dir, 'state', 'front.port'), 'utf8').trim()}`;
  }

  async startController(): Promise<void> {
    const child = spawn(process.execPath, [join(root, 'controller/main.ts')], {
      env: this.#env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#controller = child;
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000);
    });
    const ended = once(child, 'exit').then(() => 'ended');
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`the controller ended:\n${log}`);
        return (await this.controllerApi('GET', '/livez').catch(() => undefined)) !== undefined;
      },
      'the controller answers',
      15_000,
    );
    void ended;
  }

  /** SIGKILL. */
  async killController(): Promise<void> {
    const child = this.#controller;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async controllerApi(method: string, path: string, body?: unknown): Promise<unknown> {
    const { port } = JSON.parse(readFileSync(join(this.dir, 'state', 'controller.json'), 'utf8')) as { port: number };
    const token = readFileSync(join(this.dir, 'state', 'controller.token'), 'utf8').trim();
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.headers.get('content-type')?.includes('json') ? response.json() : response.text();
  }

  /** Workers that have said that they are ready, dead ones included until the controller has noticed. */
  workers(): FleetWorker[] {
    const folder = join(this.dir, 'state', 'workers');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => ({
        id: name.slice(0, -5),
        ...(JSON.parse(readFileSync(join(folder, name), 'utf8')) as Omit<FleetWorker, 'id'>),
      }));
  }

  async status(worker: FleetWorker): Promise<WorkerStatus> {
    const response = await fetch(`http://127.0.0.1:${worker.internalPort}/statusz`, {
      headers: { authorization: `Bearer ${KEY}` },
      signal: AbortSignal.timeout(2_000),
    });
    return (await response.json()) as WorkerStatus;
  }

  /** A worker's metrics page. */
  async metrics(worker: FleetWorker): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${worker.internalPort}/metrics`, {
      headers: { authorization: `Bearer ${KEY}` },
    });
    return response.text();
  }

  async drain(worker: FleetWorker, body: Record<string, unknown> = {}): Promise<void> {
    await fetch(`http://127.0.0.1:${worker.internalPort}/drain`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}` },
      body: JSON.stringify(body),
    });
  }

  /** Workers that the controller sees serving and admitting. */
  async readyWorkers(): Promise<number> {
    const answer = (await this.controllerApi('GET', '/pools')) as { pools: { status?: { readyWorkers?: number } }[] };
    return answer.pools[0]?.status?.readyWorkers ?? 0;
  }

  async serving(): Promise<number> {
    const states = await Promise.all(
      this.workers().map((worker) =>
        this.status(worker).then(
          (s) => s.state,
          () => 'gone',
        ),
      ),
    );
    return states.filter((state) => state === 'serving').length;
  }

  /** The worker that has this call in memory, with its status. */
  async ownerOf(callConnectionId: string): Promise<{ worker: FleetWorker; call: CallStatus } | undefined> {
    for (const worker of this.workers()) {
      const status = await this.status(worker).catch(() => undefined);
      const call = status?.calls.find((candidate) => candidate.callConnectionId === callConnectionId);
      if (call) return { worker, call };
    }
    return undefined;
  }

  /** Environment of a running worker, to start it again under its id as a container runtime would. */
  environmentOf(worker: FleetWorker): Record<string, string> {
    const pairs = readFileSync(`/proc/${worker.pid}/environ`, 'utf8').split('\0').filter(Boolean);
    return Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  }

  /** Notes another process under a worker's id, as the local runtime does when it starts one. */
  noteProcess(worker: string, pid: number): void {
    const file = join(this.dir, 'state', 'records', `${worker}.json`);
    const record = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...record, ...identify(pid) }));
  }

  /** What the workers say of themselves, and the ends of all logs: for the message of a test that fails. */
  async picture(): Promise<string> {
    const statuses = await Promise.all(
      this.workers().map((worker) =>
        this.status(worker).catch((error) => ({ worker: worker.id, error: String(error) })),
      ),
    );
    return `${statuses.map((status) => JSON.stringify(status)).join('\n')}\n${this.logs()}`;
  }

  logs(): string {
    const folder = join(this.dir, 'state', 'logs');
    try {
      return readdirSync(folder)
        .map((name) => `== ${name}\n${readFileSync(join(folder, name), 'utf8').slice(-6_000)}`)
        .join('\n');
    } catch {
      return '(no logs)';
    }
  }

  /** Ends everything that this fleet started. */
  async stop(): Promise<void> {
    const child = this.#controller;
    const workers = this.workersSafely();
    if (child && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      await this.controllerApi('POST', '/shutdown', { graceSeconds: 5 }).catch(() => child.kill('SIGTERM'));
      await exited;
    } else {
      await this.startController().then(() => this.stop());
      return;
    }
    for (const { pid } of workers) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should have.
      }
    }
    await this.azure.stop();
    // A test may have stopped it, and some plant what does not belong there and say so.
    const { RTVOICE_REDIS_MODE: mode, RTVOICE_REDIS_URL: url = '' } = this.#env;
    const faults = this.keysAreInOrder ? await keyFaults(url, mode as RedisMode).catch(() => []) : [];
    await this.#redis?.[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
    if (faults.length > 0) throw new Error(`keys that are not in order:\n${faults.join('\n')}`);
  }

  private workersSafely(): FleetWorker[] {
    try {
      return this.workers();
    } catch {
      return [];
    }
  }
}
