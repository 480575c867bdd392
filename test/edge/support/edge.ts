import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../platform/free_port.ts';
import { type CertificateAuthority, ensureCertificateAuthority } from '../../../simulators/ca.ts';

/** Another configuration, to see that the tests notice what is wrong in it. */
export const EDGE_FOLDER =
  process.env.RTVOICE_TEST_EDGE ?? fileURLToPath(new URL('../../../deploy/edge', import.meta.url));
export const EDGE_HOST = 'edge.test';
/** Another version than the installed one, to try the configuration with. */
const HAPROXY = process.env.RTVOICE_TEST_HAPROXY ?? 'haproxy';
const START_LIMIT_MS = 10_000;

export interface LogLine {
  readonly msg: string;
  readonly [name: string]: unknown;
}

/** A real HAProxy with the configuration that is deployed. */
export class Edge implements AsyncDisposable {
  readonly port: number;
  readonly insidePort: number;
  readonly folder: string;
  readonly certificateFile: string;
  readonly ca: string;
  readonly authority: CertificateAuthority;
  readonly log: string[] = [];
  readonly #child: ChildProcess;
  readonly #logged = new EventEmitter();

  private constructor(child: ChildProcess, place: Place) {
    this.#child = child;
    this.port = place.port;
    this.insidePort = place.insidePort;
    this.folder = place.folder;
    this.certificateFile = place.certificateFile;
    this.ca = place.ca;
    this.authority = place.authority;
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      this.log.push(...lines);
      this.#logged.emit('line');
    });
  }

  /** `env` stands above the defaults of the test; `through`: a command that runs the one behind it. */
  static async start(env: Readonly<Record<string, string>>, through: readonly string[] = []): Promise<Edge> {
    const place = await prepare();
    const [command = HAPROXY, ...args] = [...through, HAPROXY, '-db', '-f', join(EDGE_FOLDER, 'haproxy.cfg')];
    const child = spawn(command, args, {
      env: { PATH: process.env.PATH ?? '', ...runMark(), ...place.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Without this a test run that dies would leave it behind.
    const reap = () => void child.kill('SIGKILL');
    process.once('exit', reap);
    child.once('exit', () => process.removeListener('exit', reap));
    const edge = new Edge(child, place);
    try {
      await edge.#untilReady();
    } catch (error) {
      await edge[Symbol.asyncDispose]();
      throw error;
    }
    return edge;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with its exit code. */
  async ended(): Promise<number | null> {
    if (this.running) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  /** One command on the admin socket, as an operator would give it. */
  async admin(command: string): Promise<string> {
    const socket = connectSocket(join(this.folder, 'admin.sock'));
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.write(`${command}\n`);
    await once(socket, 'close');
    return answer;
  }

  /** The first line of the log that is as asked for, also one from before. */
  async logged(holds: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.log.map((line) => JSON.parse(line) as LogLine).find(holds);
      if (found) return found;
      await once(this.#logged, 'line', { signal: AbortSignal.timeout(START_LIMIT_MS) });
    }
  }

  async writeCertificate(names: readonly string[]): Promise<void> {
    await writeCertificate(this.certificateFile, await this.authority.server(names));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    let problems = '';
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      problems = (problems + chunk).slice(-4_000);
    });
    const deadline = performance.now() + START_LIMIT_MS;
    while (this.running && performance.now() < deadline) {
      const answer = await fetch(`http://127.0.0.1:${this.insidePort}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`haproxy did not start: ${problems}`);
  }
}

interface Place {
  readonly port: number;
  readonly insidePort: number;
  readonly folder: string;
  readonly certificateFile: string;
  readonly ca: string;
  readonly authority: CertificateAuthority;
  readonly env: Readonly<Record<string, string>>;
}

async function prepare(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'rtvoice-edge-'));
  const [port, insidePort] = [await freePort(), await freePort()];
  const authority = await ensureCertificateAuthority(join(folder, 'ca'));
  const certificateFile = join(folder, 'certificate', 'edge.pem');
  await mkdir(join(folder, 'certificate'));
  await writeCertificate(certificateFile, await authority.server([EDGE_HOST]));
  const env = {
    EDGE_ADDRESS: '127.0.0.1',
    EDGE_PORT: `${port}`,
    EDGE_INSIDE_ADDRESS: '127.0.0.1',
    EDGE_INSIDE_PORT: `${insidePort}`,
    EDGE_RUN: folder,
    EDGE_CERTIFICATE: certificateFile,
    EDGE_MAXCONN: '200',
    EDGE_MAXCONN_TOTAL: '500',
  };
  const ca = await readFile(authority.caFile, 'utf8');
  return { port, insidePort, folder, certificateFile, ca, authority, env };
}

async function writeCertificate(file: string, { cert, key }: { cert: string; key: string }): Promise<void> {
  await writeFile(`${file}.key`, key);
  await writeFile(file, cert);
}

/** What the test runner recognises the processes of its run by. */
function runMark(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith('RTVOICE_') && value !== undefined ? [[name, value]] : [],
    ),
  );
}
