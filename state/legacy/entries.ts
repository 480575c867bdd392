import { canonical } from '../../platform/json.ts';
import { isObject } from '../envelope.ts';
import type { HistoryEntry } from '../ports.ts';
import { LEGACY_TOO_LARGE, LEGACY_UNREADABLE } from './errors.ts';
import type { LegacyLimits } from './limits.ts';
import { isExactly, legacyTimeMs } from './timestamps.ts';

/** What an entry of the older histories carries and ours has no place for; kept beside it. */
export interface LegacyExtras {
  /** The role, where ours is another word for more than one of theirs (`tool`, `function`, a name). */
  role?: string;
  /** The stamp as it was written, where milliseconds say less. */
  timestamp?: unknown;
  /** The content as it was written, where it was not text. */
  content?: unknown;
  /** Every other member. */
  members?: Record<string, unknown>;
  /** `atMs` is not its own: of the entry beside it in its thread, of the session, or nobody's (then it is 0). */
  time?: 'neighbour' | 'session' | 'unknown';
  /** One text in several entries: this is part `part` of `parts`, and joined without anything between they are the text. */
  part?: number;
  parts?: number;
}

/** A history entry that came from an older key: `agent` is the thread it stood in. */
export type MigratedEntry = HistoryEntry & { agent: string; legacy?: LegacyExtras };

/** One entry as parsed; time and number come later, since they depend on the others. */
export interface LegacyEntry {
  readonly role: HistoryEntry['role'];
  readonly text: string;
  readonly timeMs: number | undefined;
  readonly extras: LegacyExtras;
  /** The same for two copies of one entry, of which one may lack the stamp. */
  readonly identity: string;
}

const ROLES: Readonly<Record<string, HistoryEntry['role']>> = {
  user: 'caller',
  assistant: 'assistant',
  system: 'system',
};

/** `{role, content, timestamp?, …}`. `where` names key, field and position. Nothing of the entry is lost; what has no place is in `extras`. */
export function parseEntry(value: unknown, where: string, limits: LegacyLimits): LegacyEntry {
  if (!isObject(value)) throw LEGACY_UNREADABLE.with(`${where}: an entry is not an object`);
  const { role, content, timestamp, ...members } = value;
  if (typeof role !== 'string' || role === '') throw LEGACY_UNREADABLE.with(`${where}: an entry without a role`);
  const known = Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
  const timeMs = legacyTimeMs(timestamp);
  const extras: LegacyExtras = {
    ...(known ? {} : { role }),
    ...(timestamp === undefined || (timeMs !== undefined && isExactly(timestamp, timeMs)) ? {} : { timestamp }),
    ...(typeof content === 'string' || content === undefined ? {} : { content }),
    ...(Object.keys(members).length > 0 ? { members } : {}),
  };
  const length = JSON.stringify(extras).length;
  if (length > limits.maxExtrasLength)
    throw LEGACY_TOO_LARGE.with(`${where}: ${length} of ${limits.maxExtrasLength} characters beside the text`);
  const identity = canonical([role, content ?? null, members]);
  return { role: known ?? 'system', text: textOf(content), timeMs, extras, identity };
}

/** Text, or the text of content parts (`[{type: 'text', text}]`), or JSON of anything else that was said; nothing for null. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) return '';
  if (Array.isArray(content) && content.every((part) => isObject(part) && typeof part.text === 'string')) {
    return content.map((part: { text: string }) => part.text).join('');
  }
  return JSON.stringify(content);
}

/** Pieces of at most `maxLength` UTF-16 units that never cut a character in two; one empty piece for an empty text. */
export function splitText(text: string, maxLength: number): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (text.length - from > maxLength) {
    const last = text.charCodeAt(from + maxLength - 1);
    const next = text.charCodeAt(from + maxLength);
    const cutsPair = last >= 0xd800 && last <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
    const to = from + maxLength - (cutsPair ? 1 : 0);
    pieces.push(text.slice(from, to));
    from = to;
  }
  pieces.push(text.slice(from));
  return pieces;
}
