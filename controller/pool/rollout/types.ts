import type { PoolSpec } from '../../../contract/pool.ts';

export type RolloutPhase =
  /** One revision alone: every worker is of it or is being brought to it. */
  | 'Stable'
  /** A few workers of the new revision take calls and are compared with the rest. */
  | 'Canary'
  /** Workers of the old revision are replaced, `update.maxSurge` at a time. */
  | 'Rolling'
  /** Nothing is replaced: `update.paused`, or a new revision that was worse under `onFailure: Pause`. */
  | 'Paused'
  /** The new revision was worse: its workers are drained, the old revision stays until the document changes. */
  | 'RolledBack';

/** What one pass hands to the next; the status carries it across restarts of the controller. */
export interface RolloutState {
  readonly phase: RolloutPhase;
  /** The revision that has proven itself; new workers fall back to it. */
  readonly stable: string;
  /** The revision of the document, or the one that was given up. */
  readonly update: string;
  /** Monotonic clock of this process: when the phase began, or was restored. */
  readonly sinceMs: number;
  /** One sentence for people. */
  readonly reason: string;
  /** The new revision was found worse: only another document ends this. */
  readonly failed: boolean;
}

/** What calls experienced on the workers of one revision, summed over them. */
export interface RevisionQuality {
  /** Workers of it that serve. */
  readonly ready: number;
  /** Workers of it that will not start: their code, image or settings do not run. */
  readonly broken: number;
  /** In words, of the first broken one. */
  readonly brokenReason: string | undefined;
  /** Call set-ups that came to an end, either way. */
  readonly setups: number;
  readonly setupFailures: number;
  /** Answers whose first audio was timed. */
  readonly responses: number;
  /** Sum of those times. */
  readonly responseSeconds: number;
}

export type Verdict =
  | { readonly kind: 'good'; readonly reason: string }
  | { readonly kind: 'bad'; readonly reason: string }
  /** Too few calls to tell. */
  | { readonly kind: 'open'; readonly reason: string };

export type UpdatePolicy = PoolSpec['update'];
