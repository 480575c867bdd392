import type { Clock } from '../../platform/clock.ts';
import type { FrontProcess } from './front_process.ts';
import type { LocalProcesses } from './local_processes.ts';

const FRONT_GRACE_MS = 1_000;
const KILL_WAIT_MS = 2_000;

/**
 * Ends every worker and then the front: SIGTERM, `graceMs` to finish, SIGKILL for the rest. This is how `rtvoice dev` ends; a call
 * that is still up is cut, and its records are archived by the next start.
 */
export async function endAll(options: {
  runtime: LocalProcesses;
  front: FrontProcess;
  clock: Clock;
  graceMs: number;
}): Promise<void> {
  const { runtime, front, clock, graceMs } = options;
  const running = () => runtime.all().filter(({ presence }) => presence !== 'ended');
  const reason = 'the local mode ends';
  await Promise.all(running().map((worker) => runtime.stop(worker, { reason, force: false })));
  await until(clock, graceMs, () => running().length === 0);
  await Promise.all(running().map((worker) => runtime.stop(worker, { reason, force: true })));
  await until(clock, KILL_WAIT_MS, () => running().length === 0);
  await Promise.all(runtime.all().map((worker) => runtime.forget(worker)));
  await front.stop(FRONT_GRACE_MS);
}

async function until(clock: Clock, limitMs: number, done: () => boolean): Promise<void> {
  const deadlineMs = clock.monotonicMs() + limitMs;
  // A real timer: the process stays alive for as long as this waits.
  while (!done() && clock.monotonicMs() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 20));
}
