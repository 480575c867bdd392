import { DEFAULT_LIMITS } from '../calls/conversation_limits.ts';

/** Bounds of what is read from the older keys. Upstream never trimmed a history, so they are wide. */
export interface LegacyLimits {
  /** Bytes of one key. */
  maxKeyBytes: number;
  /** Fields of a hash or items of a list. */
  maxItems: number;
  /** Nested arrays and objects in a field's JSON. */
  maxDepth: number;
  /** Characters of a conversation's id: it becomes part of records and of document ids. */
  maxIdLength: number;
  /** Agents of one history. */
  maxThreads: number;
  /** Entries of one conversation, texts in parts counted by their parts. */
  maxTurns: number;
  /** Characters of one entry's text; a longer one becomes several entries. */
  maxTextLength: number;
  /** Characters of what an entry carries beside its text, as JSON. */
  maxExtrasLength: number;
  /** Characters of the context as JSON: half of what a conversation may have, so that the dialogue can add to it. */
  maxContextLength: number;
}

export const LEGACY_LIMITS: LegacyLimits = {
  maxKeyBytes: 16 * 1024 * 1024,
  maxItems: 20_000,
  maxDepth: 64,
  maxIdLength: 512,
  maxThreads: 500,
  maxTurns: DEFAULT_LIMITS.maxTurns - 1_000,
  maxTextLength: DEFAULT_LIMITS.maxTextLength,
  maxExtrasLength: 1024 * 1024,
  maxContextLength: DEFAULT_LIMITS.maxContextLength / 2,
};
