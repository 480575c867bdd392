import { rmSync } from 'node:fs';
import { readJson, writeDurably } from './durable_file.ts';
import type { Admission } from './ports.ts';
import type { StateFolder } from './state_folder.ts';

/** The controller's note on one worker process; written before the process exists, so that none is ever unknown. */
export interface WorkerRecord {
  readonly v: 1;
  readonly id: string;
  readonly namespace: string;
  readonly pool: string;
  readonly revision: string;
  /** Undefined from the decision to start it until its pid is known. */
  readonly pid?: number;
  readonly startTicks?: number;
  readonly admission: Admission;
  readonly admissionReason?: string;
  readonly stopping?: boolean;
}

/** What a worker writes to RTVOICE_READY_FILE once both listeners answer. */
export interface ReadyFile {
  readonly publicPort: number;
  readonly internalPort: number;
  readonly pid: number;
  readonly incarnation: string;
}

export function readRecord(folder: StateFolder, worker: string): WorkerRecord | undefined {
  const record = readJson<WorkerRecord>(folder.record(worker));
  return record?.id === worker && typeof record.pool === 'string' && typeof record.namespace === 'string'
    ? record
    : undefined;
}

export function writeRecord(folder: StateFolder, record: WorkerRecord): void {
  writeDurably(folder.record(record.id), JSON.stringify(record));
}

/** Only what the process `pid` itself wrote: the file of an earlier process under the same id names ports that are no longer its own. */
export function readReadyFile(folder: StateFolder, worker: string, pid: number | undefined): ReadyFile | undefined {
  const ready = readJson<ReadyFile>(folder.readyFile(worker));
  return ready && ready.pid === pid && Number.isInteger(ready.publicPort) && Number.isInteger(ready.internalPort)
    ? ready
    : undefined;
}

export function removeWorkerFiles(folder: StateFolder, worker: string): void {
  rmSync(folder.readyFile(worker), { force: true });
  rmSync(folder.record(worker), { force: true });
}
