import type { LeaseTable } from '../state/ports.ts';
import { callsOf, type PoolView } from './pool/view.ts';

/**
 * Whether every worker the controller knows has written its leases again after an outage of Redis: its heartbeat is back, and its
 * leases are no fewer than the calls it says it has. A pool without a serving worker has nothing to re-assert.
 */
export async function allReasserted(view: PoolView, leases: Pick<LeaseTable, 'heartbeats'>): Promise<boolean> {
  const serving = view.workers.filter((worker) => worker.presence === 'serving');
  if (serving.length === 0) return true;
  const beats = new Map((await leases.heartbeats()).map((beat) => [beat.worker, beat]));
  return serving.every((worker) => {
    const beat = beats.get(worker.id);
    if (!beat || beat.incarnation !== worker.incarnation || worker.leases === undefined) return false;
    return worker.leases >= Math.max(beat.activeCalls, callsOf(worker) ?? 0);
  });
}
