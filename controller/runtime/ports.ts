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

export type HostState =
  /** It takes workers; always so on one machine. */
  | 'usable'
  /** It is being emptied: cordoned, or a taint says that it goes. */
  | 'leaving'
  /** It gives no sign of life. Its workers may well go on serving. */
  | 'unreachable'
  /** No host at all gives one: the fault is taken to lie with who listens, and its workers count as before. */
  | 'unheard';

/** Why a worker does not serve, as the runtime tells it. */
export interface Trouble {
  /** Its code or image cannot run, so another worker of the same revision would fare no better. */
  readonly kind: 'image' | 'configuration' | 'crashLoop' | 'unschedulable';
  /** One word, such as `ImagePullBackOff`. */
  readonly reason: string;
  readonly message: string;
}

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
  /** It was asked to stop, by this controller or by somebody else. */
  readonly stopping: boolean;
  /** The machine it runs on. */
  readonly host: { readonly name: string; readonly state: HostState } | undefined;
  /** Starts of it in place, after the first. */
  readonly restarts: number;
  readonly trouble: Trouble | undefined;
  /** A person asked for a drain of this worker where the runtime keeps it. */
  readonly drainAsked: boolean;
}

/** Two pools of one name in two namespaces may have workers of one id. */
export type WorkerKey = Pick<RuntimeWorker, 'id' | 'ref'>;

export interface CreateRequest {
  readonly id: string;
  readonly ref: PoolRef;
  readonly revision: string;
}

/** Where workers run: child processes here, Pods in a cluster. The planner and the reconcile loop know only this. */
export interface WorkerRuntime {
  /** Every worker of the pool, ended ones included until they are forgotten. */
  list(ref: PoolRef): RuntimeWorker[];
  find(worker: WorkerKey): RuntimeWorker | undefined;
  /** Workers of any pool on that host. */
  countOn(host: string): number;
  create(request: CreateRequest): Promise<void>;
  /** Notes the admission durably; the affinity record in Redis follows from it. */
  mark(worker: WorkerKey, admission: Admission, reason: string): Promise<void>;
  /** Asks it to end (SIGTERM; it still finishes its calls). `force` ends it at once: only for one that never served. */
  stop(worker: WorkerKey, options: { reason: string; force: boolean }): Promise<void>;
  /** Drops what is kept of an ended worker. */
  forget(worker: WorkerKey): Promise<void>;
  /** The incarnation as its figures tell it, for a runtime that cannot know by itself. */
  learn(worker: WorkerKey, incarnation: string): void;
  /** Calls back whenever `list` has changed; returns what ends the subscription. */
  onChange(listener: (pool: PoolRef) => void): () => void;
}
