import type { ArchiveRecord } from '../outbox/ports.ts';

export interface ProfileDocument {
  id: string;
  userId: string;
  callCount: number;
  lastCallAtMs: number;
  /** Ids of the newest updates that went in: an update that comes again changes nothing. */
  applied: string[];
  _etag?: string;
  [member: string]: unknown;
}

const MAX_APPLIED = 32;
/** What an update may not touch: the merge keeps these itself. */
const RESERVED = new Set([
  'id',
  'userId',
  'callCount',
  'lastCallAtMs',
  'applied',
  'envelope',
  'schemaVersion',
  'sealed',
  // Retention is not the caller's to set.
  'ttl',
  '_etag',
  '_rid',
  '_self',
  '_ts',
  '_attachments',
]);

/** The profile after an update, both in clear, or undefined when the update is in it already. Fields that are not in the update stay. */
export function mergeProfile(
  stored: ProfileDocument | undefined,
  id: string,
  update: ArchiveRecord,
): ProfileDocument | undefined {
  if (stored?.applied.includes(update.id)) return undefined;
  const { patch, atMs, callConnectionId } = update.body;
  const fields = Object.entries(typeof patch === 'object' && patch !== null ? patch : {}).filter(
    ([name]) => !RESERVED.has(name),
  );
  const calls = stored?.lastCall === callConnectionId ? 0 : 1;
  return {
    ...stored,
    ...Object.fromEntries(fields),
    id,
    userId: id,
    callCount: (stored?.callCount ?? 0) + calls,
    lastCall: callConnectionId,
    lastCallAtMs: Math.max(stored?.lastCallAtMs ?? 0, typeof atMs === 'number' ? atMs : 0),
    applied: [...(stored?.applied ?? []), update.id].slice(-MAX_APPLIED),
  };
}
