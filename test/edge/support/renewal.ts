import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EDGE_FOLDER, type Edge } from './edge.ts';

/** The script that stands beside the proxy in its Pod. */
export class Renewal implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rtvoice-renew-'));
  readonly #said: string[] = [];
  readonly #spoke = new EventEmitter();

  constructor(edge: Edge) {
    const path = process.env.PATH ?? '';
    if (!hasSocat()) symlinkSync(fileURLToPath(new URL('./socat.mjs', import.meta.url)), join(this.#folder, 'socat'));
    this.#child = spawn('sh', [join(EDGE_FOLDER, 'renew.sh')], {
      env: {
        ...process.env,
        PATH: `${this.#folder}${delimiter}${path}`,
        EDGE_CERTIFICATE: edge.certificateFile,
        EDGE_RUN: edge.folder,
        EDGE_RENEW_SECONDS: '0.1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#said.push(...chunk.split('\n').filter((line) => line !== ''));
      this.#spoke.emit('line');
    });
  }

  /** Resolves once it has said so, and forgets all that it said up to there. */
  async says(what: RegExp): Promise<void> {
    for (;;) {
      const at = this.#said.findIndex((line) => what.test((JSON.parse(line) as { msg: string }).msg));
      if (at >= 0) return void this.#said.splice(0, at + 1);
      await once(this.#spoke, 'line', { signal: AbortSignal.timeout(15_000) });
    }
  }

  /** As the kubelet does it; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function hasSocat(): boolean {
  try {
    execFileSync('socat', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
