import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Workers that live and freeze together: each has an address of its own, all are one process. */
export class Workers implements AsyncDisposable {
  readonly addresses: readonly string[];
  readonly #child: ChildProcess;

  private constructor(addresses: readonly string[], child: ChildProcess) {
    this.addresses = addresses;
    this.#child = child;
  }

  static async start(addresses: readonly string[], port: number): Promise<Workers> {
    const child = fork(fileURLToPath(new URL('./worker_process.ts', import.meta.url)), {
      env: { ...process.env, RTVOICE_TEST_ADDRESSES: addresses.join(','), RTVOICE_TEST_PORT: `${port}` },
    });
    const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (first !== 'ready') throw new Error(`the workers did not start: ${first}`);
    return new Workers(addresses, child);
  }

  /** SIGSTOP: the kernel still accepts connections for it, and nothing is answered. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
