import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { defineError } from '../../platform/errors.ts';
import { readWav } from './wav.ts';

export const SPEECH_FAILED = defineError('ERR_SIMULATOR_SPEECH', {
  status: 500,
  message: 'flite could not speak',
  remedy: 'Install the Debian package `flite`.',
});

const run = promisify(execFile);
const MAX_AT_ONCE = 2;
const TIMEOUT_MS = 30_000;

/** Speaks texts with flite, one process a text; what was spoken once is kept in memory and in a folder. */
export class Flite {
  readonly #dir: string;
  readonly #spoken = new Map<string, Promise<Int16Array>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** 16-bit mono PCM at 16 kHz. */
  speak(text: string, voice = 'slt'): Promise<Int16Array> {
    const id = createHash('sha256').update(`${voice}\n${text}`).digest('hex').slice(0, 32);
    const known = this.#spoken.get(id);
    if (known) return known;
    const speaking = this.#load(id, text, voice).catch((error) => {
      this.#spoken.delete(id);
      throw error;
    });
    this.#spoken.set(id, speaking);
    return speaking;
  }

  async #load(id: string, text: string, voice: string): Promise<Int16Array> {
    const file = join(this.#dir, `${id}.wav`);
    const kept = await readFile(file).catch(() => undefined);
    if (kept) return readWav(kept);
    await mkdir(this.#dir, { recursive: true });
    await this.#enter();
    const scratch = join(this.#dir, `.${randomUUID()}.wav`);
    try {
      await run('flite', ['-voice', voice, '-t', text, '-o', scratch], { timeout: TIMEOUT_MS });
      const pcm = readWav(await readFile(scratch));
      await rename(scratch, file);
      return pcm;
    } catch (error) {
      throw SPEECH_FAILED.with(`voice ${voice}`, error);
    } finally {
      await rm(scratch, { force: true });
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
  }

  /** A place that is given up goes to the one who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}
