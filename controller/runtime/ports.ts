import type { PoolRef } from '../../contract/ids.ts';

/** What the controller has decided on a worker's admission; kept by the runtime, so that it outlives the controller and Redis. */
export type Admission =
  /** Takes new calls. */
  | 'admitting'
  /** Takes none and stays. */
  | 'cordoned'
  /** Takes none, ends empty and is then deleted. */
  | 'draining';

export type Presence =
  /** Made, but it does not serve yet. */
  | 'starting'
  /** It serves requests. */
  | 'serving'
  /** Its process or container has ended. */
  | 'ended';

export interface RuntimeWorker {
  readonly id: string;
  readonly ref: PoolRef;
  readonly revision: string;
  readonly presence: Presence;
  readonly admission: Admission;
  /** Why it is cordoned or draining. */
  readonly admissionReason: string | undefined;
  /** Of the running process, or of the one that ended; undefined before it told. */
  readonly incarnation: string | undefined;
  /** Base URL of the internal listener, known once it serves. */
  readonly endpoint: string | undefined;
  /** Milliseconds since the process started, by this machine's uptime. */
  readonly ageMs: number;
  /** The controller has asked it to stop. */
  readonly stopping: boolean;
}

export interface CreateRequest {
  readonly id: string;
  readonly ref: PoolRef;
  readonly revision: string;
}

/** Where workers run: child processes here, Pods in a cluster. The planner and the reconcile loop know only this. */
export interface WorkerRuntime {
  /** Every worker it knows, ended ones included until they are forgotten. */
  list(): readonly RuntimeWorker[];
  create(request: CreateRequest): Promise<void>;
  /** Notes the admission durably; the affinity record in Redis follows from it. */
  mark(worker: string, admission: Admission, reason: string): Promise<void>;
  /** Asks it to end (SIGTERM; it still finishes its calls). `force` ends it at once: only for one that never served. */
  stop(worker: string, options: { reason: string; force: boolean }): Promise<void>;
  /** Drops what is kept of an ended worker. */
  forget(worker: string): Promise<void>;
  /** Calls back whenever `list` has changed; returns what ends the subscription. */
  onChange(listener: (worker: string) => void): () => void;
}
