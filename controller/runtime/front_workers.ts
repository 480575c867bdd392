import { type FSWatcher, watch } from 'node:fs';
import type { PublicRoute } from '../../contract/urls.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import { isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import type { StateFolder } from './state_folder.ts';
import { readReadyFile, readRecord } from './worker_records.ts';

/** A worker that the front may send bytes to. */
export interface Backend {
  readonly worker: string;
  readonly namespace: string;
  readonly pool: string;
  readonly port: number;
  readonly admitting: boolean;
  readonly process: ProcessIdentity;
}

/** A missed file event must not last. */
const REREAD_PERIOD_MS = 1_000;
/** Files change in bursts (record, then ready file): one read for all of them. */
const SETTLE_MS = 20;

/** The workers as the state folder tells them: neither the controller nor Redis is asked, so the way in outlives both. */
export class FrontWorkers {
  readonly #folder: StateFolder;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #watchers: FSWatcher[] = [];
  #reread: Timer | undefined;
  #settling: Timer | undefined;
  #backends: readonly Backend[] = [];
  #turn = 0;

  constructor(folder: StateFolder, clock: Clock, log: Log) {
    this.#folder = folder;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#read();
    this.#reread = this.#clock.every(REREAD_PERIOD_MS, () => this.#read());
    for (const path of [this.#folder.records, this.#folder.readyFiles]) {
      const watcher = watch(path, { persistent: false }, () => this.#settle());
      watcher.on('error', (error) =>
        this.#log.warn({ err: error }, 'watching the state folder failed; re-reading only'),
      );
      this.#watchers.push(watcher);
    }
  }

  close(): void {
    this.#reread?.cancel();
    this.#settling?.cancel();
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Whom to try, in order: the worker that the path names, then admitting ones, then any; rings start with another worker each time. */
  candidates(route: PublicRoute): Backend[] {
    const pool = this.#backends.filter(
      (backend) => backend.namespace === route.namespace && backend.pool === route.pool && isRunning(backend.process),
    );
    const owner = route.kind === 'call' ? pool.filter((backend) => backend.worker === route.worker) : [];
    const others = pool.filter((backend) => !owner.includes(backend));
    const offset = this.#turn++;
    return [
      ...owner,
      ...rotate(
        others.filter((backend) => backend.admitting),
        offset,
      ),
      ...rotate(
        others.filter((backend) => !backend.admitting),
        offset,
      ),
    ];
  }

  #settle(): void {
    this.#settling?.cancel();
    this.#settling = this.#clock.after(SETTLE_MS, () => this.#read());
  }

  #read(): void {
    try {
      this.#backends = this.#folder.names('records').flatMap((id) => this.#backend(id) ?? []);
    } catch (error) {
      this.#log.warn({ err: error }, 'the state folder is not readable; going on with the workers known before');
    }
  }

  #backend(id: string): Backend | undefined {
    const record = readRecord(this.#folder, id);
    if (record?.pid === undefined || record.startTicks === undefined) return undefined;
    const ready = readReadyFile(this.#folder, id, record.pid);
    return (
      ready && {
        worker: id,
        namespace: record.namespace,
        pool: record.pool,
        port: ready.publicPort,
        admitting: record.admission === 'admitting',
        process: { pid: record.pid, startTicks: record.startTicks },
      }
    );
  }
}

function rotate<T>(list: readonly T[], offset: number): T[] {
  const at = list.length === 0 ? 0 : offset % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
