import { createHash } from 'node:crypto';
import { RECORD_VERSION } from '../../contract/records.ts';
import { turnId } from '../calls/record_ids.ts';
import type { HistoryEntry, OutboxEntry, SessionRecord } from '../ports.ts';
import { fitContext, mergeContexts } from './context.ts';
import { type LegacyExtras, type MigratedEntry, splitText } from './entries.ts';
import { LEGACY_TOO_LARGE, shownKey } from './errors.ts';
import type { LegacyLimits } from './limits.ts';
import { mergeThreads, type TimedEntry } from './merge.ts';
import { isConversation, type MigratedComponents, type ParsedSource, parseSource } from './parse_source.ts';
import type { Generation } from './payload.ts';
import { digestOf, type LegacyFault, type LegacySource } from './source.ts';
import { legacyTimeMs } from './timestamps.ts';

/** Where a session record came from; stands in it as `legacy` and travels along, so that any later reader can retire the flat keys. */
export interface LegacyOrigin {
  generation: Generation;
  /** The flat keys that were read, each with its digest: another one now means that an older system has written since. */
  keys: { key: string; digest: string }[];
}

export interface MigratedConversation {
  readonly session: SessionRecord & { legacy: LegacyOrigin };
  readonly context: Record<string, unknown>;
  /** Complete, numbered from 1 without gaps. */
  readonly history: readonly MigratedEntry[];
  /** Every turn, and before them what the context has no room for. */
  readonly outbox: readonly OutboxEntry[];
  readonly components: MigratedComponents;
}

export interface Conversion {
  /** Undefined when nothing of the source can be read, or nothing in it is a conversation. */
  readonly conversation: MigratedConversation | undefined;
  /** Flat keys that were left out. */
  readonly faults: readonly LegacyFault[];
}

/**
 * One call or conversation of the flat keys as our records: the same source always gives the same bytes. A key that cannot be read is
 * left out and named in `faults`. Throws ERR_LEGACY_TOO_LARGE when the whole is too long.
 */
export function convertLegacy(source: LegacySource, limits: LegacyLimits): Conversion {
  const parsed = parseSource(source, limits);
  const conversation = parsed.read.some(isConversation) ? convert(source, parsed, limits) : undefined;
  return { conversation, faults: parsed.faults };
}

function convert(source: LegacySource, parsed: ParsedSource, limits: LegacyLimits): MigratedConversation {
  const whole = mergeContexts({ ...parsed, sessionId: source.sessionId });
  const sessionMs = createdAtMs(whole);
  const history = numbered(mergeThreads(parsed.threads, sessionMs), limits);
  if (history.length > limits.maxTurns)
    throw LEGACY_TOO_LARGE.with(`${shownKey(source.id)}: ${history.length} of ${limits.maxTurns} turns`);
  const callRef = legacyCallRef(source.id);
  const { context, archived } = fitContext(whole, limits.maxContextLength);
  const startedAtMs = sessionMs ?? history[0]?.atMs ?? 0;
  const session = {
    v: RECORD_VERSION,
    callRef,
    callConnectionId: source.id,
    correlationId: '',
    serverCallId: '',
    from: textOr(whole.caller_id, ''),
    to: textOr(whole.target_number, ''),
    startedAtMs,
    state: whole.call_active === false || whole.call_disconnected === true ? 'ended' : 'reconnecting',
    recentEventIds: [],
    dialogue: null,
    nextSeq: history.length + 1,
    legacy: {
      generation: generationOf(parsed.sessions.map(({ payload }) => payload.generation)),
      keys: parsed.read.map((value) => ({ key: value.key, digest: digestOf(value) })),
    },
  };
  const outbox = [...contextEntries(archived, callRef, startedAtMs, limits), ...turnEntries(history, callRef)];
  return { session, context, history, outbox, components: parsed.components };
}

function numbered(entries: readonly TimedEntry[], limits: LegacyLimits): MigratedEntry[] {
  const history: MigratedEntry[] = [];
  for (const { entry, agent, atMs, time } of entries) {
    const pieces = splitText(entry.text, limits.maxTextLength);
    for (const [index, text] of pieces.entries()) {
      const legacy: LegacyExtras = {
        ...(index === 0 ? entry.extras : {}),
        ...(time === undefined ? {} : { time }),
        ...(pieces.length > 1 ? { part: index + 1, parts: pieces.length } : {}),
      };
      const extras = Object.keys(legacy).length > 0 ? { legacy } : {};
      history.push({ seq: history.length + 1, role: entry.role, text, atMs, agent, ...extras });
    }
  }
  return history;
}

function turnEntries(history: readonly HistoryEntry[], callRef: string): OutboxEntry[] {
  return history.map((entry) => ({ id: turnId(entry.seq), kind: 'turn', body: { ...entry, callRef } }));
}

/** Context members for the archive alone: system turns before the first, `seq` 0, whose joined texts are the member's JSON. */
function contextEntries(
  archived: readonly { name: string; json: string }[],
  callRef: string,
  atMs: number,
  limits: LegacyLimits,
): OutboxEntry[] {
  const pieces = archived.flatMap(({ name, json }) =>
    splitText(json, limits.maxTextLength).map((text, index, all) => ({
      name,
      text,
      part: index + 1,
      parts: all.length,
    })),
  );
  return pieces.map(({ name, text, part, parts }, index) => ({
    id: `legacy-context-${String(index + 1).padStart(6, '0')}`,
    kind: 'turn',
    body: { seq: 0, role: 'system', text, atMs, callRef, legacy: { contextMember: name, part, parts } },
  }));
}

const NEWEST_FIRST: readonly Generation[] = ['mixed', 'threads', 'early', 'list', 'bare'];

function generationOf(found: readonly Generation[]): Generation {
  return NEWEST_FIRST.find((generation) => found.includes(generation)) ?? 'bare';
}

function createdAtMs(context: Record<string, unknown>): number | undefined {
  const info = context.session_info;
  return typeof info === 'object' && info !== null
    ? legacyTimeMs((info as Record<string, unknown>).created_at)
    : undefined;
}

/** Older systems had no call ref; this one is the same on every reader. */
export function legacyCallRef(id: string): string {
  return BigInt(`0x1${createHash('sha256').update(id).digest('hex')}`)
    .toString(36)
    .slice(1, 21);
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}
