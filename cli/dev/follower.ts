import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CallStatus } from '../../worker/ports.ts';
import { type LocalReader, readJson } from './controller_client.ts';
import type { StateDir } from './state_dir.ts';

type Line = NonNullable<CallStatus['recent']>[number];

/** Prints what a worker heard and said in one call, as its status page tells it. */
export class DialogueFollower {
  readonly #reader: LocalReader;
  readonly #dir: StateDir;
  readonly #print: (line: string) => void;
  #callConnectionId: string | undefined;
  #seen: Line[] = [];
  #worker: string | undefined;

  constructor(reader: LocalReader, dir: StateDir, print: (line: string) => void) {
    this.#reader = reader;
    this.#dir = dir;
    this.#print = print;
  }

  watch(callConnectionId: string): void {
    this.#callConnectionId = callConnectionId;
  }

  async look(): Promise<void> {
    if (this.#callConnectionId === undefined) return;
    for (const name of readdirSync(this.#dir.file('workers'))) {
      const ready = readJson<{ internalPort: number }>(join(this.#dir.file('workers'), name));
      const status = ready && (await this.#reader.status(ready.internalPort));
      const call = status?.calls.find((candidate) => candidate.callConnectionId === this.#callConnectionId);
      if (status && call) this.#tell(status.worker, call.recent ?? []);
    }
  }

  #tell(worker: string, lines: readonly Line[]): void {
    if (worker !== this.#worker) {
      this.#print(`on worker  ${worker}`);
      this.#worker = worker;
      this.#seen = [];
    }
    for (const line of newLines(this.#seen, lines)) {
      const response = line.responseMs === undefined ? '' : `  (${line.responseMs} ms)`;
      this.#print(`${line.role === 'caller' ? 'heard     ' : 'answered  '} ${line.text}${response}`);
    }
    this.#seen = [...lines];
  }
}

/** What the status page shows beyond what was seen; it keeps the newest lines only, so the overlap is looked for. */
export function newLines(seen: readonly Line[], now: readonly Line[]): readonly Line[] {
  const same = (a: Line | undefined, b: Line | undefined) => a?.role === b?.role && a?.text === b?.text;
  for (let skip = 0; skip <= seen.length; skip++) {
    const rest = seen.slice(skip);
    if (rest.length <= now.length && rest.every((line, index) => same(line, now[index]))) return now.slice(rest.length);
  }
  return now;
}
