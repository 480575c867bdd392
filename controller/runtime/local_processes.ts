import { EventEmitter } from 'node:events';
import { rmSync } from 'node:fs';
import type { PoolRef } from '../../contract/ids.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import { identify, isRunning, type ProcessIdentity, signal } from '../../platform/processes.ts';
import type { Admission, CreateRequest, RuntimeWorker, WorkerKey, WorkerRuntime } from './ports.ts';
import { ageMs, findByEnvironment } from './process_identity.ts';
import { trimLog } from './process_log.ts';
import { spawnDetached } from './spawn_detached.ts';
import type { StateFolder } from './state_folder.ts';
import {
  type ReadyFile,
  readReadyFile,
  readRecord,
  removeWorkerFiles,
  type WorkerRecord,
  writeRecord,
} from './worker_records.ts';

export interface LocalProcessesOptions {
  readonly folder: StateFolder;
  /** Script that a worker runs. */
  readonly workerScript: string;
  /** Environment of every worker; what differs per worker is added here. */
  readonly env: Record<string, string>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Entry {
  record: WorkerRecord;
  process: ProcessIdentity | undefined;
  ready: ReadyFile | undefined;
  ended: boolean;
}

/** Adopted processes are not our children: their end is seen in /proc only. */
const POLL_PERIOD_MS = 200;
const LOG_TRIM_PERIOD_MS = 60_000;

/** Workers as detached processes of this machine. Their records stand in the state folder, so a new controller adopts what runs. */
export class LocalProcesses implements WorkerRuntime {
  readonly #options: LocalProcessesOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #events = new EventEmitter<{ change: [PoolRef] }>();
  readonly #timers: Timer[] = [];

  constructor(options: LocalProcessesOptions) {
    this.#options = options;
  }

  /** Adopts every recorded worker, then watches. */
  start(): void {
    const { folder, clock, log } = this.#options;
    for (const id of folder.names('records')) {
      const record = readRecord(folder, id);
      if (!record) {
        log.warn({ worker: id }, 'a worker record is not readable; left alone');
        continue;
      }
      const entry = this.#adopt(record);
      this.#entries.set(id, entry);
      log.info({ worker: id, pid: entry.process?.pid, alive: !entry.ended }, 'worker adopted');
    }
    this.#timers.push(
      clock.every(POLL_PERIOD_MS, () => this.#poll()),
      clock.every(LOG_TRIM_PERIOD_MS, () => {
        for (const id of this.#entries.keys()) trimLog(folder.log(id));
      }),
    );
  }

  /** Stops watching; the workers go on. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#events.removeAllListeners();
  }

  list(ref: PoolRef): RuntimeWorker[] {
    return this.all().filter((worker) => worker.ref.namespace === ref.namespace && worker.ref.pool === ref.pool);
  }

  /** Workers of every pool. */
  all(): RuntimeWorker[] {
    return [...this.#entries.values()].map(describe);
  }

  find(worker: WorkerKey): RuntimeWorker | undefined {
    const entry = this.#entries.get(worker.id);
    return entry && describe(entry);
  }

  countOn(): number {
    return this.#entries.size;
  }

  learn(): void {
    // The ready file has told it already.
  }

  onChange(listener: (pool: PoolRef) => void): () => void {
    this.#events.on('change', listener);
    return () => this.#events.off('change', listener);
  }

  async create(request: CreateRequest): Promise<void> {
    const { id, ref, revision } = request;
    await this.#launch({ v: 1, id, namespace: ref.namespace, pool: ref.pool, revision, admission: 'admitting' });
  }

  /** Starts an ended worker again under its own id, as a container restarts inside its Pod. */
  async restartInPlace(worker: string): Promise<void> {
    const entry = this.#entries.get(worker);
    if (!entry?.ended) return;
    const { pid: _pid, startTicks: _startTicks, stopping: _stopping, ...kept } = entry.record;
    await this.#launch(kept);
  }

  async mark({ id: worker }: WorkerKey, admission: Admission, reason: string): Promise<void> {
    const entry = this.#entries.get(worker);
    if (!entry || (entry.record.admission === admission && entry.record.admissionReason === reason)) return;
    this.#write(entry, { ...entry.record, admission, admissionReason: reason });
  }

  async stop({ id: worker }: WorkerKey, { reason, force }: { reason: string; force: boolean }): Promise<void> {
    const entry = this.#entries.get(worker);
    if (!entry?.process || entry.ended) return;
    this.#options.log.info({ worker, reason, force }, 'stopping a worker');
    this.#write(entry, { ...entry.record, stopping: true });
    signal(entry.process, force ? 'SIGKILL' : 'SIGTERM');
  }

  async forget({ id: worker }: WorkerKey): Promise<void> {
    const entry = this.#entries.get(worker);
    if (!entry?.ended) return;
    this.#entries.delete(worker);
    removeWorkerFiles(this.#options.folder, worker);
    this.#changed(entry);
  }

  async #launch(record: WorkerRecord): Promise<void> {
    const { folder, workerScript, env, log } = this.#options;
    const entry: Entry = { record, process: undefined, ready: undefined, ended: false };
    rmSync(folder.readyFile(record.id), { force: true });
    this.#write(entry, record);
    this.#entries.set(record.id, entry);
    try {
      const child = await spawnDetached({
        script: workerScript,
        env: { ...env, ...workerEnvironment(folder, record) },
        logPath: folder.log(record.id),
      });
      child.once('exit', (code, signalName) => {
        log.info({ worker: record.id, code, signal: signalName }, 'worker process ended');
        this.#end(entry);
      });
      entry.process = child.pid === undefined ? undefined : identify(child.pid);
      // Ended between the two steps: the exit event that follows says so.
      if (entry.process) this.#write(entry, { ...entry.record, ...entry.process });
    } catch (error) {
      this.#end(entry);
      throw error;
    }
  }

  #adopt(record: WorkerRecord): Entry {
    const { folder } = this.#options;
    const known =
      record.pid === undefined || record.startTicks === undefined
        ? undefined
        : { pid: record.pid, startTicks: record.startTicks };
    const found = known ?? findByEnvironment('RTVOICE_READY_FILE', folder.readyFile(record.id));
    if (found && !known) writeRecord(folder, { ...record, ...found });
    return {
      record: found ? { ...record, ...found } : record,
      process: found,
      ready: found && readReadyFile(folder, record.id, found.pid),
      ended: !found || !isRunning(found),
    };
  }

  #poll(): void {
    for (const entry of this.#entries.values()) {
      if (entry.ended || !entry.process) continue;
      if (!isRunning(entry.process)) this.#end(entry);
      else if (!entry.ready) this.#readReady(entry, entry.process);
    }
  }

  #readReady(entry: Entry, process: ProcessIdentity): void {
    entry.ready = readReadyFile(this.#options.folder, entry.record.id, process.pid);
    if (entry.ready) this.#changed(entry);
  }

  #end(entry: Entry): void {
    if (entry.ended || this.#entries.get(entry.record.id) !== entry) return;
    // Its incarnation may have been written in the last moment, and it is what `gone` must name.
    entry.ready ??= readReadyFile(this.#options.folder, entry.record.id, entry.process?.pid);
    entry.ended = true;
    this.#changed(entry);
  }

  #write(entry: Entry, record: WorkerRecord): void {
    entry.record = record;
    writeRecord(this.#options.folder, record);
    this.#changed(entry);
  }

  #changed({ record }: Entry): void {
    this.#events.emit('change', { namespace: record.namespace, pool: record.pool });
  }
}

function workerEnvironment(folder: StateFolder, record: WorkerRecord): Record<string, string> {
  return {
    RTVOICE_NAMESPACE: record.namespace,
    RTVOICE_POOL: record.pool,
    RTVOICE_WORKER_ID: record.id,
    RTVOICE_REVISION: record.revision,
    RTVOICE_POOL_FILE: folder.document(record.pool, record.revision),
    RTVOICE_READY_FILE: folder.readyFile(record.id),
    RTVOICE_BIND: '127.0.0.1',
    RTVOICE_PUBLIC_PORT: '0',
    RTVOICE_INTERNAL_PORT: '0',
  };
}

function describe(entry: Entry): RuntimeWorker {
  const { record, ready, process, ended } = entry;
  return {
    id: record.id,
    ref: { namespace: record.namespace, pool: record.pool },
    revision: record.revision,
    presence: ended ? 'ended' : ready ? 'serving' : 'starting',
    admission: record.admission,
    admissionReason: record.admissionReason,
    incarnation: ready?.incarnation,
    endpoint: ready && `http://127.0.0.1:${ready.internalPort}`,
    ageMs: process ? ageMs(process) : 0,
    stopping: record.stopping ?? false,
    host: undefined,
    restarts: 0,
    trouble: undefined,
    drainAsked: false,
  };
}
