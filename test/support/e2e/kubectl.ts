import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface KubectlOptions {
  /** The program; default `kubectl` on the PATH. */
  readonly program?: string;
  readonly kubeconfig: string;
}

export interface PortForward extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
}

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const LIMIT_MS = 60_000;
const PORT_FORWARD_LIMIT_MS = 20_000;

/** kubectl against one cluster: what a story does to it and reads from it. Errors carry what kubectl printed. */
export class Kubectl {
  readonly #options: KubectlOptions;

  constructor(options: KubectlOptions) {
    this.#options = options;
  }

  /** Standard output; throws with standard error when it fails. */
  async run(args: readonly string[], options: { input?: string; limitMs?: number } = {}): Promise<string> {
    const { code, out, err } = await this.attempt(args, options);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err.trim() || `exit ${code}`}`);
    return out;
  }

  /** As `run`, for commands that are expected to fail. */
  async attempt(
    args: readonly string[],
    { input, limitMs = LIMIT_MS }: { input?: string; limitMs?: number } = {},
  ): Promise<Result> {
    const child = this.spawn(args);
    const chunks = { out: '', err: '' };
    child.stdout?.on('data', (chunk: Buffer) => {
      chunks.out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      chunks.err += chunk.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.stdin?.end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { code, ...chunks };
  }

  spawn(args: readonly string[]): ChildProcess {
    const { program = 'kubectl', kubeconfig } = this.#options;
    return spawn(program, args, { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** Applies objects, or YAML text as it stands. */
  apply(documents: string | readonly object[], namespace?: string): Promise<string> {
    const input =
      typeof documents === 'string' ? documents : documents.map((one) => JSON.stringify(one)).join('\n---\n');
    const where = namespace === undefined ? [] : ['-n', namespace];
    return this.run(['apply', '--server-side', '--force-conflicts', ...where, '-f', '-'], { input });
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as T;
  }

  /** Undefined when it is not there. */
  async find<T>(kind: string, name: string, namespace: string): Promise<T | undefined> {
    const text = await this.run(['get', kind, name, '-n', namespace, '--ignore-not-found', '-o', 'json']);
    return text.trim() === '' ? undefined : (JSON.parse(text) as T);
  }

  async list<T>(kind: string, namespace: string, selector?: string): Promise<T[]> {
    const chosen = selector === undefined ? [] : ['-l', selector];
    return (await this.json<{ items: T[] }>(['get', kind, '-n', namespace, ...chosen])).items;
  }

  /** A way from this process to a port of a Pod or Service, through the API server. */
  async portForward(namespace: string, target: string, port: number): Promise<PortForward> {
    const child = this.spawn(['port-forward', '-n', namespace, target, `:${port}`]);
    const stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    };
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const timer = setTimeout(() => void stop(), PORT_FORWARD_LIMIT_MS);
    if (child.stdout) {
      for await (const line of createInterface({ input: child.stdout })) {
        const local = /127\.0\.0\.1:(\d+) ->/.exec(line)?.[1];
        if (local === undefined) continue;
        clearTimeout(timer);
        // Its further lines must not fill the pipe.
        child.stdout.resume();
        return { url: `http://127.0.0.1:${local}`, [Symbol.asyncDispose]: stop };
      }
    }
    clearTimeout(timer);
    await stop();
    throw new Error(`kubectl port-forward ${target}: ${text.trim()}`);
  }
}
