import { newWorkerId, type PoolRef } from '../../contract/ids.ts';
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
  readonly affinity: Affinity;
  readonly expectations: Expectations;
  readonly commands: WorkerCommands;
  readonly random: Random;
  readonly log: Log;
}

export interface ActContext {
  readonly ref: PoolRef;
  readonly revision: string;
  readonly slots: number;
}

/** Runs the actions in order. One that fails is logged and planned again in the next pass; only a newer controller stops the rest. */
export async function act(deps: ActDeps, context: ActContext, actions: readonly Action[]): Promise<void> {
  for (const action of actions) {
    try {
      const done = await perform(deps, context, action);
      if (done) deps.log.info({ ...action, pool: context.ref.pool }, 'pool action');
    } catch (error) {
      if (errorCode(error) === 'ERR_CONTROLLER_FENCED') throw error;
      deps.log.warn({ ...action, pool: context.ref.pool, err: error }, 'a pool action failed; it is planned again');
    }
  }
}

/** True when it was done; false when it has to wait (Redis away). */
async function perform(deps: ActDeps, context: ActContext, action: Action): Promise<boolean> {
  if (action.kind === 'create') return create(deps, context);
  const worker = deps.runtime.list().find(({ id }) => id === action.worker);
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

async function create({ runtime, expectations, random }: ActDeps, { ref, revision }: ActContext): Promise<boolean> {
  const taken = new Set(runtime.list().map(({ id }) => id));
  let id = newWorkerId(ref.pool, random);
  while (taken.has(id)) id = newWorkerId(ref.pool, random);
  expectations.expectCreate(id);
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
  { slots }: ActContext,
  worker: RuntimeWorker,
): Promise<boolean> {
  // One that never served was never admitted: Redis knows nothing of it.
  if (worker.incarnation !== undefined && worker.endpoint !== undefined) {
    const { id, incarnation, endpoint, revision } = worker;
    const stands = await affinity.assert({ worker: id, state: 'gone', incarnation, endpoint, slots, revision });
    if (!stands) return false;
  }
  affinity.forget(worker.id);
  await runtime.forget(worker.id);
  return true;
}

async function admission(
  { runtime, affinity, commands }: ActDeps,
  { slots }: ActContext,
  worker: RuntimeWorker,
  action: Extract<Action, { kind: 'admit' | 'cordon' | 'drain' }>,
): Promise<boolean> {
  const state = STATES[action.kind];
  await runtime.mark(worker.id, state, action.reason);
  if (worker.endpoint === undefined) return true;
  await affinity.assert({ worker: worker.id, state, endpoint: worker.endpoint, slots, revision: worker.revision });
  // Its next heartbeat would tell it too, but not while Redis is away.
  if (action.kind === 'drain')
    await commands.drain(worker.endpoint, { reason: action.reason, deadlineMs: action.deadlineMs });
  return true;
}

async function remove(
  { runtime, expectations }: ActDeps,
  worker: RuntimeWorker,
  action: Extract<Action, { kind: 'delete' }>,
): Promise<boolean> {
  expectations.expectDelete(worker.id);
  try {
    await runtime.stop(worker.id, { reason: action.reason, force: action.force });
  } catch (error) {
    expectations.drop(worker.id);
    throw error;
  }
  return true;
}
