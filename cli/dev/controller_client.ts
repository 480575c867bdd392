import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineError } from '../../platform/errors.ts';
import type { WorkerStatus } from '../../worker/ports.ts';

export const LOCAL_MODE_AWAY = defineError('ERR_LOCAL_MODE_AWAY', {
  status: 503,
  message: 'local mode does not run here',
  remedy: 'Start it with `npm start`, or name its folder with --state-dir.',
});

export interface PoolView {
  name: string;
  ready: number;
  desired: number;
  conditions: { type: string; status: string; reason?: string }[];
}

const TIMEOUT_MS = 2_000;

/** Reads what runs in a state folder: the controller's API and the workers' status pages. */
export class LocalReader {
  readonly #dir: string;
  readonly #internalKey: string;

  constructor(dir: string, internalKey: string) {
    this.#dir = dir;
    this.#internalKey = internalKey;
  }

  /** Undefined while the controller does not answer: it may be starting, or have been killed. */
  async controller(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const address = readJson<{ port?: number }>(join(this.#dir, 'controller.json'));
    const tokenFile = join(this.#dir, 'controller.token');
    if (address?.port === undefined || !existsSync(tokenFile)) return undefined;
    try {
      const response = await fetch(`http://127.0.0.1:${address.port}${path}`, {
        method,
        headers: { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return response.ok ? await response.json() : undefined;
    } catch {
      // Refused or silent: the picture says that it is away.
      return undefined;
    }
  }

  async status(internalPort: number): Promise<WorkerStatus | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${internalPort}/statusz`, {
        headers: { authorization: `Bearer ${this.#internalKey}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return response.ok ? ((await response.json()) as WorkerStatus) : undefined;
    } catch {
      // As above.
      return undefined;
    }
  }
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    // Not there yet, or just being replaced.
    return undefined;
  }
}
