import { canonical } from '../../platform/json.ts';

/**
 * Which members of each kind of record stay in clear. **Everything else is sealed**, so that a member that somebody adds is sealed
 * unless it is named here. Clear is only what scripts, queries, merging and accounting need, and never what a person said or is.
 *
 * The data architecture's `ENCRYPTED_FIELDS` in our records:
 *
 * | document | field | ours | how |
 * |---|---|---|---|
 * | `conversation_context` | `user_id` | `session.from`, `session.to`; `profile.userId` | sealed; a pseudonym (blind index) |
 * | `conversation_context` | `phone_number` | `session.from`, `session.to`, `summary.from`, `summary.to` | sealed |
 * | `conversation_context` | `session_metadata` | `session.dialogue`, `session.serverCallId`, all of `context` | sealed |
 * | `call_transcripts` | `transcript` | `turn.text`, in the history as in the archive | sealed |
 * | `call_transcripts` | `participant_info` | `summary.from`, `summary.to` | sealed |
 * | `user_profiles` | `personal_data`, `preferences` | `profile.patch`, and every field of a profile but the merge's own counters | sealed, names too |
 *
 * Clear members are bound by the seal (associated data): changed, the record does not open. A record's own text says which of its
 * members were clear when it was sealed, so that this table may change in both directions.
 */
export const CLEAR_MEMBERS = {
  session: ['v', 'callRef', 'callConnectionId', 'correlationId', 'startedAtMs', 'state', 'recentEventIds', 'nextSeq'],
  context: [],
  turn: ['v', 'seq', 'role', 'atMs', 'callRef'],
  summary: [
    'v',
    'callConnectionId',
    'callRef',
    'correlationId',
    'startedAtMs',
    'endedAtMs',
    'reason',
    'turns',
    'workers',
    'partial',
  ],
  // An update, and the profile that updates are merged into.
  profile: ['v', 'userId', 'callConnectionId', 'atMs', 'callCount', 'lastCall', 'lastCallAtMs', 'applied'],
  // Figures of a call, for reports over many calls that no caller's key could open.
  analytics: [
    'v',
    'callRef',
    'callConnectionId',
    'pool',
    'workers',
    'startedAtMs',
    'endedAtMs',
    'durationMs',
    'reason',
    'turns',
    'partial',
    'latencies',
  ],
} as const satisfies Record<string, readonly string[]>;

/** Kinds that belong to no caller and hold no personal data by rule: never sealed, since no erasure may make them unreadable. */
const NEVER_SEALED = ['audit', 'metrics'] as const;

type SealableKind = keyof typeof CLEAR_MEMBERS;
export type RecordKind = SealableKind | (typeof NEVER_SEALED)[number];

type Body = Readonly<Record<string, unknown>>;

const CLEAR: ReadonlyMap<RecordKind, ReadonlySet<string>> = new Map(
  Object.entries(CLEAR_MEMBERS).map(([kind, members]) => [kind as SealableKind, new Set<string>(members)]),
);

/** In canonical order, each with its name as JSON writes it. */
const CLEAR_IN_ORDER: ReadonlyMap<RecordKind, readonly (readonly [name: string, written: string])[]> = new Map(
  Object.entries(CLEAR_MEMBERS).map(([kind, members]) => [
    kind as SealableKind,
    [...members].sort().map((name: string) => [name, `${JSON.stringify(name)}:`] as const),
  ]),
);

/** False for kinds that stay as they are. */
export function isSealable(kind: RecordKind): boolean {
  return CLEAR.has(kind);
}

function isClear(kind: RecordKind, member: string): boolean {
  return CLEAR.get(kind)?.has(member) ?? true;
}

/**
 * Parts a body by the policy; members that are undefined go, as in JSON. `clear` as canonical JSON, and the rest as an object
 * without a prototype, so that no name is special. A kind that is not sealed has no rest.
 */
export function splitBody(kind: RecordKind, body: object): { clear: string; secret: Body } {
  const members = body as Body;
  const ordered = CLEAR_IN_ORDER.get(kind);
  const secret: Record<string, unknown> = Object.create(null);
  if (!ordered) return { clear: canonical(body), secret };
  let clear = '';
  for (const [name, written] of ordered) {
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    if (value !== undefined) clear += `${clear === '' ? '' : ','}${written}${canonical(value)}`;
  }
  for (const name of Object.keys(members)) if (!isClear(kind, name)) secret[name] = members[name];
  return { clear: `{${clear}}`, secret };
}

/** Names of the members of a stored body that stand in clear against the policy. */
export function plainMembers(kind: RecordKind, body: Body): string[] {
  return Object.entries(body).flatMap(([name, value]) =>
    isClear(kind, name) || (name === 'sealed' && isCiphertext(value)) ? [] : [name],
  );
}

/** Has the shape of ciphertext; words with blanks between them have not. */
function isCiphertext(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{22,}$/.test(value);
}
