import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import { writeKeyRing } from '../../security/sealing/keys_file.ts';

/** Everything that local mode writes stands below one folder. */
export const DEFAULT_STATE_DIR = '.rtvoice/local';
/** The simulated Azure's variables, as `simulators/main.ts` writes them. */
export const AZURE_FILE = 'azure.json';
const ENVIRONMENT_FILE = 'env';
export const KEY_RING_FILE = 'key-ring.json';

/** What a command needs to find the running local mode. */
export interface RunFile {
  identity: ProcessIdentity;
  publicUrl: string;
  ringUrl: string;
  controlUrl: string;
  controlToken: string;
  namespace: string;
  pool: string;
}

/** Children in the order of their start; kept on disk so that the next start can end what a killed one left. */
export interface ChildRecord extends ProcessIdentity {
  name: string;
}

export interface Secrets {
  internalKey: string;
  callTokenKey: string;
  eventGridKey: string;
  callerIdKey: string;
}

export class StateDir {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    for (const folder of ['', 'logs', 'redis', 'azure'])
      mkdirSync(join(path, folder), { recursive: true, mode: 0o700 });
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** The local mode that runs on this folder now, if one does. */
  running(): RunFile | undefined {
    const run = this.#read<RunFile>('run.json');
    return run && isRunning(run.identity) ? run : undefined;
  }

  writeRun(run: Omit<RunFile, 'identity'>): void {
    const identity = identify(process.pid);
    if (identity) this.#write('run.json', { identity, ...run });
  }

  children(): ChildRecord[] {
    return this.#read<ChildRecord[]>('children.json') ?? [];
  }

  writeChildren(children: readonly ChildRecord[]): void {
    this.#write('children.json', children);
  }

  /** Secrets of this folder, made once: the same after a restart, so that a running worker and a new controller agree. */
  secrets(): Secrets {
    const known = this.#read<Secrets>('secrets.json');
    if (known) return known;
    const key = () => randomBytes(24).toString('base64url');
    const made = { internalKey: key(), callTokenKey: key(), eventGridKey: key(), callerIdKey: key() };
    this.#write('secrets.json', made);
    return made;
  }

  /** Path of the tenant keys that everything of this folder is sealed under; made once. */
  async keyRing(): Promise<string> {
    const path = this.file(KEY_RING_FILE);
    if (!existsSync(path)) {
      const key = { id: 'local-1', key: randomBytes(32).toString('base64url') };
      await writeKeyRing(path, { v: 1, tenant: 'local', keys: [key] });
    }
    return path;
  }

  /** For a shell (`. .rtvoice/local/env`): every command then speaks to the stores of this local mode. It holds secrets. */
  writeEnvironment(env: Readonly<Record<string, string>>): void {
    const lines = Object.entries(env).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`);
    writeFileSync(this.file(ENVIRONMENT_FILE), lines.join(''), { mode: 0o600 });
  }

  #read<T>(name: string): T | undefined {
    const path = this.file(name);
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined;
  }

  #write(name: string, value: unknown): void {
    writeFileSync(this.file(name), `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  }
}
