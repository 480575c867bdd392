import type { Clock } from '../../platform/clock.ts';
import type { CallStore, SessionRecord } from '../ports.ts';
import type { ConversationLimits } from './conversation_limits.ts';
import type { ConversationMetrics } from './conversation_metrics.ts';

/** Who a call is; does not change during it. */
export type CallIdentity = Pick<
  SessionRecord,
  'callRef' | 'callConnectionId' | 'correlationId' | 'serverCallId' | 'from' | 'to' | 'startedAtMs'
>;

export interface ConversationOptions {
  store: CallStore;
  /** The lease this process holds; every write carries it. */
  owner: { fence: number; incarnation: string };
  clock: Clock;
  metrics?: ConversationMetrics;
  limits?: Partial<ConversationLimits>;
  /** Ids that now stand in the outbox: the archiver may take them. */
  onStored?: (callConnectionId: string, entryIds: readonly string[]) => void;
}
