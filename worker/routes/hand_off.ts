import { z } from 'zod';
import { IDENTIFIER } from '../../contract/ids.ts';
import type { HandOff } from '../../contract/records.ts';

const id = z.string().regex(IDENTIFIER);
const bounded = (length: number) => z.string().max(length);

/** Loose objects: fields that a newer version added pass through to the host. */
const HAND_OFF = z.looseObject({
  lease: z.looseObject({
    callRef: id,
    ringId: id,
    worker: id,
    incarnation: id,
    fence: z.int().min(1),
    state: z.enum(['ringing', 'answered']),
    callConnectionId: bounded(256).optional(),
    expiresAtMs: z.number(),
    placedAtMs: z.number(),
    ring: z.looseObject({
      v: z.int().min(1),
      ringId: id,
      correlationId: bounded(512),
      incomingCallContext: bounded(64 * 1024),
      from: bounded(512),
      to: bounded(512),
      serverCallId: bounded(4096),
    }),
  }),
});

/** The hand-off, or the path of the field at fault. */
export function parseHandOff(value: unknown): HandOff | string {
  const parsed = HAND_OFF.safeParse(value);
  if (!parsed.success) return parsed.error.issues[0]?.path.join('.') || 'body';
  const { lease } = parsed.data;
  // JSON leaves an undefined field out; the record's type names it.
  return { ...parsed.data, lease: { ...lease, callConnectionId: lease.callConnectionId } };
}
