import type { Lease } from '../../contract/records.ts';
import type { CallHost } from '../ports.ts';

/** What one question to the owner's internal listener came to. */
export type OwnerAnswer<T> =
  /** It owns the call and served the request. */
  | { kind: 'served'; value: T }
  /** It answered, and does not own the call: the lease moved, or its process is a new one. */
  | { kind: 'denied' }
  /** No application answer within the time: frozen, dead or unreachable. */
  | { kind: 'noAnswer' }
  /** It lives and answered, but could not serve: never a reason to take its call. */
  | { kind: 'failed' };

export type OwnerSearch<T> =
  /** This worker owns the call. */
  | { kind: 'here' }
  | { kind: 'served'; value: T; lease: Lease }
  /** No lease and no memory of it. */
  | { kind: 'unknown' }
  /** The owner lives; the callback waits in its inbox. */
  | { kind: 'parked' }
  /** Neither an owner nor leave to become one, for now. */
  | { kind: 'unavailable' };

/** Each round asks `locate` once and the owner once; a call changes hands rarely, so more rounds would only hide a fault. */
const MAX_ROUNDS = 4;

/**
 * Finds the owner and lets it serve; asks for a takeover when it gives no answer. An owner that denies twice under the same fence and
 * incarnation is a process that restarted: as good as no answer.
 */
export async function searchOwner<T>(options: {
  host: Pick<CallHost, 'locate' | 'takeOver'>;
  callRef: string;
  cause: Parameters<CallHost['takeOver']>[1];
  ask: (endpoint: string, lease: Lease) => Promise<OwnerAnswer<T>>;
}): Promise<OwnerSearch<T>> {
  const { host, callRef, cause, ask } = options;
  let deniedBy: Lease | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const location = await host.locate(callRef);
    if (location.kind !== 'elsewhere') return location;
    const { lease, endpoint } = location;
    const answer = await ask(endpoint, lease);
    if (answer.kind === 'served') return { kind: 'served', value: answer.value, lease };
    if (answer.kind === 'failed') return { kind: 'unavailable' };
    if (answer.kind === 'denied' && !sameOwner(deniedBy, lease)) {
      deniedBy = lease;
      continue;
    }
    const taken = await host.takeOver(lease, cause);
    if (taken === 'here' || taken === 'parked') return { kind: taken };
    if (taken === 'refused') return { kind: 'unavailable' };
  }
  return { kind: 'unavailable' };
}

function sameOwner(a: Lease | undefined, b: Lease): boolean {
  return a !== undefined && a.fence === b.fence && a.incarnation === b.incarnation;
}
