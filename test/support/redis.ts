import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

/** `args`: more arguments of redis-server; `port` a free one that was taken for it already. With `persist` every write is synced, so that a kill loses nothing that was acknowledged. */
export async function startRedis(
  options: { persist?: boolean; args?: readonly string[]; port?: number } = {},
): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-redis-'));
  const port = options.port ?? (await freePort());
  const persistence = options.persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--loglevel', 'warning'];
  const launch = () => spawnServer([...args, ...persistence, ...(options.args ?? [])], port);
  let child = await launch();

  const end = (signal: NodeJS.Signals) => endServer(child, signal);
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

/** One process of redis-server that answers on `port`; it goes with this process. Also for a Sentinel, which needs its configuration in a file. */
export async function spawnServer(args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn('redis-server', [...args], { stdio: ['ignore', 'pipe', 'inherit'] });
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

/** Ends a process of `spawnServer` and waits for it. */
export async function endServer(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A frozen process keeps SIGTERM pending until it is continued.
  child.kill('SIGCONT');
  await exited;
}

/** One command by redis-cli as the default user; the reply as text, one line for each element. Fails on an error reply. */
export async function redisCli(port: number, ...command: readonly (string | number)[]): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', `${port}`, '-e', '--raw', ...command.map(String)];
  const { stdout } = await promisify(execFile)('redis-cli', args, { timeout: 5000 });
  return stdout.trimEnd();
}

/** Resolves once `holds`, which is asked again and again; fails with `what` after `limitMs`. An error of `holds` counts as not yet. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  limitMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
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
