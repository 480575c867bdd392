import { ttlMs } from '../keys/ttl.ts';

/** Times of the lease table in milliseconds, all judged by Redis' clock. Tests shorten them. */
export interface LeaseTimes {
  /** An answered lease, and the pool's epoch, without renewal. */
  leaseMs: number;
  /** A placed lease until ACS has answered. */
  ringingMs: number;
  /** A heartbeat counts for this long. */
  heartbeatMs: number;
  /** RECOVERING ends after this even when the controller does not confirm. */
  recoveryMs: number;
  /** An expired lease stays readable for takeover: the longest call. */
  longestCallMs: number;
  /** The outcome of a ring stays after the end of its call. */
  ringOutcomeMs: number;
  affinityMs: number;
  inboxMs: number;
  /** A lease younger than this is not told to its worker as unheld: its hand-off may be under way. */
  unheldAfterMs: number;
  /** Calls whose records are not archived are remembered for this long: the life of their stream. */
  unsentMs: number;
}

export const LEASE_TIMES: Readonly<LeaseTimes> = {
  leaseMs: ttlMs('lease'),
  ringingMs: ttlMs('ringing'),
  heartbeatMs: ttlMs('heartbeat'),
  recoveryMs: 10_000,
  longestCallMs: ttlMs('pool_index'),
  ringOutcomeMs: ttlMs('ring_outcome'),
  affinityMs: ttlMs('affinity'),
  inboxMs: ttlMs('inbox'),
  unheldAfterMs: 1000,
  unsentMs: ttlMs('outbox'),
};
