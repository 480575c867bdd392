import type { RedisKeyManager } from '../keys/key_manager.ts';

/** The keys of one call: all in one slot. */
export interface CallKeys {
  /** Who may write: fence, incarnation, last write id. */
  owner(callConnectionId: string): string;
  session(callConnectionId: string): string;
  context(callConnectionId: string): string;
  history(callConnectionId: string): string;
  outbox(callConnectionId: string): string;
  /** What was ever appended to the outbox. */
  outboxIds(callConnectionId: string): string;
  /** Entries that Cosmos DB refuses for good, with the reason. */
  quarantine(callConnectionId: string): string;
  summary(callConnectionId: string): string;
}

export function callKeys(keys: RedisKeyManager): CallKeys {
  return {
    owner: (id) => keys.callKey(id, 'fence'),
    session: (id) => keys.callKey(id, 'session'),
    context: (id) => keys.conversationKey(id, 'context'),
    history: (id) => keys.conversationKey(id, 'history'),
    outbox: (id) => keys.callKey(id, 'outbox'),
    outboxIds: (id) => keys.callKey(id, 'outbox_ids'),
    quarantine: (id) => keys.callKey(id, 'quarantine'),
    summary: (id) => keys.summaryKey(id),
  };
}
