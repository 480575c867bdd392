import type { PoolSpec } from '../../../contract/pool.ts';
import type { Finding } from '../finding.ts';

/** One change of `spec.replicas` as the controller saw it. */
export interface ReplicasWrite {
  /** This process's monotonic clock. */
  readonly atMs: number;
  readonly replicas: number;
  /** Who wrote it, by the server's book-keeping of fields. */
  readonly manager: string;
}

/** Changes within this time belong together: a tool that sets the number back every three minutes has done so often enough by then. */
const WINDOW_MS = 900_000;
/** One change taken back may be a person's second thought; more is a fight. */
const FIGHT_UNDOINGS = 2;
const KEPT = 16;

/** The changes of the number with one more, if it is one; bounded. */
export function withWrite(history: readonly ReplicasWrite[], write: ReplicasWrite): readonly ReplicasWrite[] {
  if (history.at(-1)?.replicas === write.replicas) return history;
  return [...history, write].slice(-KEPT);
}

/** The parties that undo each other's number, or none. A change undoes another party's when it brings back the number from before that. */
export function contenders(history: readonly ReplicasWrite[], nowMs: number): string[] {
  const recent = history.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS);
  const undoings = recent.flatMap((write, at) => {
    const [undone, before] = [recent[at - 1], recent[at - 2]];
    const undoes = undone && before && undone.manager !== write.manager && before.replicas === write.replicas;
    return undoes ? [[undone.manager, write.manager]] : [];
  });
  return undoings.length >= FIGHT_UNDOINGS ? [...new Set(undoings.flat())].sort() : [];
}

/** The condition `ReplicasContended`: parties that undo each other's number, or a number that nobody heeds. */
export function replicasFinding(options: {
  mode: PoolSpec['scaling']['mode'];
  /** `spec.replicas`, if it is set. */
  replicas: number | undefined;
  history: readonly ReplicasWrite[];
  nowMs: number;
}): Finding {
  const { mode, replicas, history, nowMs } = options;
  const type = 'ReplicasContended';
  const parties = contenders(history, nowMs);
  if (parties.length > 0) {
    const message = `${parties.join(' and ')} undo each other's number of workers; let one of them write /scale`;
    return { type, status: 'True', reason: 'SeveralWriters', message };
  }
  if (mode === 'Fixed' && replicas !== undefined) {
    const writer = history.at(-1)?.manager;
    const message = `${replicas} workers were asked for${writer ? ` by ${writer}` : ''}, and scaling.mode Fixed heeds minWorkers alone; take mode External, or unset spec.replicas`;
    return { type, status: 'True', reason: 'IgnoredWhileFixed', message };
  }
  return { type, status: 'False', reason: 'OneWriter', message: 'the number of workers has one writer' };
}
