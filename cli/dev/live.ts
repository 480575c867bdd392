import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkerStatus } from '../../worker/ports.ts';
import { readJson } from './controller_client.ts';
import type { Picture, PictureCall } from './picture.ts';
import type { CallerSession } from './session.ts';
import type { Stack } from './stack.ts';
import type { StateDir } from './state_dir.ts';

interface PoolAnswer {
  pools: {
    status?: {
      readyWorkers: number;
      wantedWorkers: number;
      redis: string;
      conditions: readonly { type: string; status: string }[];
    };
  }[];
}

/** Conditions that a reader should see when they hold. */
const NOTABLE = new Set(['ScalingFrozen', 'MemoryBaselineHigh', 'Recovering', 'WorkerCrashLoop']);

/** Takes one picture of what runs, from the controller's API and the workers' status pages. */
export async function takePicture(
  stack: Stack,
  dir: StateDir,
  session: CallerSession,
  startedMs: number,
): Promise<Picture> {
  const [answer, statuses] = await Promise.all([
    stack.reader.controller('GET', '/pools') as Promise<PoolAnswer | undefined>,
    workerStatuses(stack, dir),
  ]);
  const status = answer?.pools[0]?.status;
  return {
    pool: `${stack.namespace}/${stack.pool}`,
    publicUrl: stack.publicUrl,
    upMs: performance.now() - startedMs,
    ready: status?.readyWorkers ?? statuses.length,
    desired: status?.wantedWorkers ?? 0,
    conditions: answer ? notable(status?.conditions ?? []) : ['controller away'],
    redis: { available: statuses.every((worker) => worker.redis.available), keys: session.redisKeys },
    workers: statuses.map((worker) => ({
      id: worker.worker,
      state: worker.state,
      calls: worker.calls.length,
      slots: worker.slots,
      lagMs: worker.eventLoopLagMs,
    })),
    calls: statuses.flatMap((worker) => worker.calls.map((call) => pictureCall(worker, call, session))),
    totals: session.totals(),
  };
}

export async function workerStatuses(stack: Stack, dir: StateDir): Promise<WorkerStatus[]> {
  const ports = readdirSync(dir.file('workers')).flatMap((name) => {
    const ready = name.endsWith('.json')
      ? readJson<{ internalPort: number }>(join(dir.file('workers'), name))
      : undefined;
    return ready ? [ready.internalPort] : [];
  });
  const statuses = await Promise.all(ports.map((port) => stack.reader.status(port)));
  return statuses.filter((status) => status !== undefined).sort((a, b) => a.worker.localeCompare(b.worker));
}

function notable(conditions: readonly { type: string; status: string }[]): string[] {
  return conditions.filter(({ type, status }) => NOTABLE.has(type) && status === 'True').map(({ type }) => type);
}

function pictureCall(worker: WorkerStatus, call: WorkerStatus['calls'][number], session: CallerSession): PictureCall {
  return {
    id: call.callRef,
    caller: session.nameOf(call.callConnectionId) ?? 'a caller',
    worker: worker.worker,
    state: call.state,
    ageMs: call.ageMs,
    stored: call.stored,
    lines: call.recent ?? [],
  };
}
