import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readJson, writeDurably } from './durable_file.ts';

/** Layout of the local state folder: what lets a new controller take over the processes of a dead one. */
export class StateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Makes the folders; for this user only, since the token and the logs are in here. */
  prepare(): void {
    for (const name of ['', 'pools', 'records', 'workers', 'documents', 'logs']) {
      mkdirSync(join(this.path, name), { recursive: true, mode: 0o700 });
    }
  }

  /** Who controls this folder, and on which port. */
  get controller(): string {
    return join(this.path, 'controller.json');
  }

  get token(): string {
    return join(this.path, 'controller.token');
  }

  get fence(): string {
    return join(this.path, 'controller.fence');
  }

  get front(): string {
    return join(this.path, 'front.json');
  }

  get frontPort(): string {
    return join(this.path, 'front.port');
  }

  get records(): string {
    return join(this.path, 'records');
  }

  get readyFiles(): string {
    return join(this.path, 'workers');
  }

  /** The controller's own note on a pool: document, `/scale`, the number that stands. */
  pool(name: string): string {
    return join(this.path, 'pools', `${name}.json`);
  }

  /** The pool document as its workers read it. */
  document(name: string): string {
    return join(this.path, 'documents', `${name}.json`);
  }

  /** The controller's note on a worker process. */
  record(worker: string): string {
    return join(this.path, 'records', `${worker}.json`);
  }

  /** Written by the worker once it serves: its ports, pid and incarnation. */
  readyFile(worker: string): string {
    return join(this.path, 'workers', `${worker}.json`);
  }

  log(name: string): string {
    return join(this.path, 'logs', `${name}.log`);
  }

  /** Names without `.json` in one of the folders. */
  names(folder: 'pools' | 'records' | 'workers'): string[] {
    return readdirSync(join(this.path, folder))
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length));
  }

  /** The fence of this controller start: one above the last, written before it is used, so that no two starts share one. */
  raiseFence(): number {
    const next = (readJson<number>(this.fence) ?? 0) + 1;
    writeDurably(this.fence, `${next}`);
    return next;
  }
}
