import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { VoiceWorkerPool } from '../../contract/pool.ts';
import { withLiveFields } from '../pool/pool_note.ts';
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

  /** The pool document of one revision, as its workers read it. */
  document(pool: string, revision: string): string {
    return join(this.path, 'documents', `${pool}.${revision}.json`);
  }

  /**
   * Writes the document under its revision, hands what takes effect on running workers to the other revisions in use, and drops the rest.
   * Writes only what has changed.
   */
  keepRevision(pool: string, revision: string, document: VoiceWorkerPool, inUse: ReadonlySet<string>): void {
    for (const known of this.#revisions(pool)) {
      const path = this.document(pool, known);
      const before = readJson<VoiceWorkerPool>(path);
      if (!inUse.has(known)) rmSync(path, { force: true });
      else if (before && known !== revision) writeIfChanged(path, before, withLiveFields(before, document));
    }
    const path = this.document(pool, revision);
    writeIfChanged(path, readJson<VoiceWorkerPool>(path), document);
  }

  #revisions(pool: string): string[] {
    const file = new RegExp(`^${pool}\\.([^.]+)\\.json$`);
    return readdirSync(join(this.path, 'documents')).flatMap((name) => file.exec(name)?.[1] ?? []);
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

function writeIfChanged(path: string, before: VoiceWorkerPool | undefined, after: VoiceWorkerPool): void {
  if (JSON.stringify(before) !== JSON.stringify(after)) writeDurably(path, JSON.stringify(after, null, 2));
}
