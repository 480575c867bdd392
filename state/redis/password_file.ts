import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { type Credential, CredentialCell, type CredentialSource } from './credentials.ts';
import { REDIS_PASSWORD_FILE } from './errors.ts';

const READ_PERIOD_MS = 1000;
const LONGEST_BYTES = 64 * 1024;

/**
 * The password in a file, read again once a second: a Secret volume changes by a symbolic link, which no watch of a file reports. A new text becomes the
 * password; a file that is missing, empty or too large leaves the old one in force.
 */
export class PasswordFile implements CredentialSource {
  readonly #cell = new CredentialCell();
  readonly #path: string;
  readonly #user: string | undefined;
  readonly #log: Log;
  readonly #timer: Timer;
  #reading = false;
  #failed = false;
  #closed = false;

  private constructor(options: PasswordFileOptions, password: string) {
    this.#path = options.path;
    this.#user = options.user;
    this.#log = options.log;
    this.#cell.set({ user: options.user, password });
    this.#timer = options.clock.every(READ_PERIOD_MS, () => void this.#read());
  }

  /** Fails with ERR_REDIS_PASSWORD_FILE when there is no password to begin with. */
  static async open(options: PasswordFileOptions): Promise<PasswordFile> {
    return new PasswordFile(options, await readPassword(options.path));
  }

  get current(): Credential | undefined {
    return this.#cell.current;
  }

  subscribe(listener: (credential: Credential) => void): () => void {
    return this.#cell.subscribe(listener);
  }

  close(): void {
    this.#closed = true;
    this.#timer.cancel();
    this.#cell.clear();
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    try {
      const password = await readPassword(this.#path);
      this.#failed = false;
      if (!this.#closed && this.#cell.set({ user: this.#user, password })) {
        this.#log.info('the Redis password has changed; connections take the new one');
      }
    } catch (error) {
      if (!this.#failed) this.#log.warn({ err: error }, 'the Redis password file cannot be read; the old one stays');
      this.#failed = true;
    } finally {
      this.#reading = false;
    }
  }
}

export interface PasswordFileOptions {
  readonly path: string;
  readonly user: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** The text of the file without the line end that editors add. */
async function readPassword(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw REDIS_PASSWORD_FILE.with(`${path} (${errorCode(cause)})`, cause);
  }
  const password = bytes.toString('utf8').replace(/\r?\n$/, '');
  if (password === '') throw REDIS_PASSWORD_FILE.with(`${path} is empty`);
  if (bytes.length > LONGEST_BYTES) throw REDIS_PASSWORD_FILE.with(`${path} is larger than ${LONGEST_BYTES} bytes`);
  return password;
}
