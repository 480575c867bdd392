import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free_port.ts';

/** A real redis-server on a free loopback port, with its data in a folder that goes with it. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in order (SIGTERM) and keeps port and folder, so that `restart` can follow. */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** SIGSTOP: the port stays open and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Empties it, as a failover to an empty replica would. */
  flush(): Promise<void>;
  /** Comes back on the same port; `keepData` (true unless told otherwise) needs a server that was started with `persist`. */
  restart(options?: { keepData?: boolean }): Promise<void>;
}

const START_LIMIT_MS = 10_000;

/** `args`: more arguments of redis-server. With `persist` every write is synced, so that a kill loses nothing that was acknowledged. */
export async function startRedis(options: { persist?: boolean; args?: readonly string[] } = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-redis-'));
  const port = await freePort();
  const persistence = options.persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--loglevel', 'warning'];
  const launch = () => spawnServer([...args, ...persistence, ...(options.args ?? [])], port);
  let child = await launch();

  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    // A frozen process keeps SIGTERM pending until it is continued.
    child.kill('SIGCONT');
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    flush: async () => void (await ask(port, 'FLUSHALL')),
    restart: async ({ keepData = true } = {}) => {
      await end('SIGTERM');
      if (!keepData)
        await Promise.all(
          ['appendonlydir', 'dump.rdb'].map((name) => rm(join(directory, name), { recursive: true, force: true })),
        );
      child = await launch();
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function spawnServer(args: string[], port: number): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output = (output + chunk).slice(-4000);
  });
  // Without this a test run that dies would leave its server behind.
  const reap = () => void child.kill('SIGKILL');
  process.once('exit', reap);
  child.once('exit', () => process.removeListener('exit', reap));
  const failed = Promise.race([
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`redis-server ended with ${code}: ${output}`))),
    once(child, 'error').then(([error]) => Promise.reject(error)),
  ]);
  failed.catch(() => undefined);
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    const reply = await Promise.race([ask(port, 'PING').catch(() => ''), failed]);
    if (reply.startsWith('+PONG')) return child;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill('SIGKILL');
  throw new Error(`redis-server did not answer within ${START_LIMIT_MS} ms: ${output}`);
}

/** One inline command on a connection of its own; the first line of the reply. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`${command}\r\n`);
    const [chunk] = await once(socket, 'data');
    return String(chunk);
  } finally {
    socket.destroy();
  }
}
