import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import type { ContainerDefinition, Document } from './store.ts';

/** One change of the account, as it is kept on disk. */
export type Change =
  | { op: 'database'; db: string }
  | { op: 'container'; db: string; definition: ContainerDefinition }
  | { op: 'dropDatabase'; db: string }
  | { op: 'dropContainer'; db: string; coll: string }
  | { op: 'put'; db: string; coll: string; pk: string; doc: Document }
  | { op: 'remove'; db: string; coll: string; pk: string; id: string };

/** Append-only file, one line for each set of changes that belongs together. */
export class Journal {
  readonly #fd: number;

  /** Creates the file when it is missing. */
  constructor(path: string) {
    this.#fd = openSync(path, 'a', 0o600);
  }

  /** What a file holds; a last line that was cut by a crash was never acknowledged and is left out. */
  static read(path: string): Change[][] {
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n');
    lines.pop();
    return lines.map((line) => JSON.parse(line) as Change[]);
  }

  /** Replaces the file as a whole: a crash leaves the old one. */
  static rewrite(path: string, lines: readonly (readonly Change[])[]): void {
    const fresh = `${path}.new`;
    writeFileSync(fresh, lines.map((changes) => `${JSON.stringify(changes)}\n`).join(''), { mode: 0o600 });
    renameSync(fresh, path);
  }

  append(changes: readonly Change[]): void {
    writeSync(this.#fd, `${JSON.stringify(changes)}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
