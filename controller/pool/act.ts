import { newWorkerId, type PoolRef, poolTag } from '../../contract/ids.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { Affinity } from '../affinity.ts';
import type { RuntimeWorker, WorkerRuntime } from '../runtime/ports.ts';
import type { WorkerCommands } from '../worker_commands.ts';
import type { Expectations } from './expectations.ts';
import type { Action } from './plan.ts';

const STATES = { admit: 'admitting', cordon: 'cordoned', drain: 'draining' } as const;

export interface ActDeps {
  readonly runtime: WorkerRuntime;
  /** Undefined while the pool's Redis is not known: what it must be told then waits. */
  readonly affinity: Affinity | undefined;
  readonly expectations: Expectations;
  readonly commands: Pick<WorkerCommands, 'drain'> | undefined;
  readonly random: Random;
  readonly log: Log;
  /** After each action that was done. */
  readonly onDone: (action: Action) => void;
  /** After each that failed. */
  readonly onFailed: (action: Action, error: unknown) => void;
}

export interface ActContext {
  readonly ref: PoolRef;
  readonly slots: number;
  /** The pool goes: what cannot be said in Redis is not waited for. */
  readonly deleting: boolean;
}

/** Runs the actions in order. One that fails is logged and planned again in the next pass; only a newer controller stops the rest. */
export async function act(deps: ActDeps, context: ActContext, actions: readonly Action[]): Promise<void> {
  for (const action of actions) {
    try {
      if (!(await perform(deps, context, action))) continue;
      deps.log.info({ ...describe(action), pool: poolTag(context.ref) }, 'pool action');
      deps.onDone(action);
    } catch (error) {
      if (errorCode(error) === 'ERR_CONTROLLER_FENCED') throw error;
      deps.log.warn(
        { ...describe(action), pool: poolTag(context.ref), err: error },
        'a pool action failed; it is planned again',
      );
      deps.onFailed(action, error);
    }
  }
}

/** True when it was done; false when it has to wait (Redis away). */
async function perform(deps: ActDeps, context: ActContext, action: Action): Promise<boolean> {
  if (action.kind === 'create') return create(deps, context, action.revision);
  const worker = deps.runtime.find({ id: action.worker, ref: context.ref });
  if (!worker) return false;
  switch (action.kind) {
    case 'markGone':
      return markGone(deps, context, worker);
    case 'admit':
    case 'cordon':
    case 'drain':
      return admission(deps, context, worker, action);
    case 'delete':
      return remove(deps, worker, action);
  }
}

async function create(
  { runtime, expectations, random }: ActDeps,
  { ref }: ActContext,
  revision: string,
): Promise<boolean> {
  const taken = new Set(runtime.list(ref).map(({ id }) => id));
  let id = newWorkerId(ref.pool, random);
  while (taken.has(id)) id = newWorkerId(ref.pool, random);
  expectations.expectCreate(id, revision);
  try {
    await runtime.create({ id, ref, revision });
  } catch (error) {
    expectations.drop(id);
    throw error;
  }
  return true;
}

async function markGone(
  { runtime, affinity }: ActDeps,
  { slots, deleting }: ActContext,
  worker: RuntimeWorker,
): Promise<boolean> {
  const heard = affinity !== undefined || !deleting;
  // One that never served was never admitted: Redis knows nothing of it.
  if (heard && worker.incarnation !== undefined && worker.endpoint !== undefined) {
    const { id, incarnation, endpoint, revision } = worker;
    const gone = { worker: id, state: 'gone', incarnation, endpoint, slots, revision } as const;
    if (!(await affinity?.assert(gone))) return false;
  }
  affinity?.forget(worker.id);
  await runtime.forget(worker);
  return true;
}

async function admission(
  { runtime, affinity, commands }: ActDeps,
  { slots }: ActContext,
  worker: RuntimeWorker,
  action: Extract<Action, { kind: 'admit' | 'cordon' | 'drain' }>,
): Promise<boolean> {
  const state = STATES[action.kind];
  await runtime.mark(worker, state, action.reason);
  if (worker.endpoint === undefined) return true;
  await affinity?.assert({ worker: worker.id, state, endpoint: worker.endpoint, slots, revision: worker.revision });
  // Its next heartbeat would tell it too, but not while Redis is away.
  if (action.kind === 'drain')
    await commands?.drain(worker.endpoint, { reason: action.reason, deadlineMs: action.deadlineMs });
  return true;
}

async function remove(
  { runtime, expectations }: ActDeps,
  worker: RuntimeWorker,
  action: Extract<Action, { kind: 'delete' }>,
): Promise<boolean> {
  expectations.expectDelete(worker.id);
  try {
    await runtime.stop(worker, { reason: action.reason, force: action.force });
  } catch (error) {
    expectations.drop(worker.id);
    throw error;
  }
  return true;
}

/** For the log: without the candidates of a choice, which `explain` shows. */
function describe(action: Action): Omit<Action, 'candidates'> {
  if (action.kind !== 'drain') return action;
  const { candidates: _candidates, ...rest } = action;
  return rest;
}
