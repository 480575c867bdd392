import { isObject } from '../envelope.ts';
import { parseEntry } from './entries.ts';
import { LEGACY_TOO_LARGE, LEGACY_UNREADABLE, shownKey } from './errors.ts';
import { jsonOrText, parseLegacyJson } from './json_text.ts';
import type { LegacyLimits } from './limits.ts';
import type { LegacyThread } from './merge.ts';
import { sortedFields } from './source.ts';

/**
 * Shape of a `session:{id}` hash:
 * `list`: fields `history` (a JSON list) and `context`; `early`: `chat_history` still a list, and `corememory`;
 * `threads`: `chat_history` a dict of lists by agent, and `corememory`; `mixed`: old and new field names in one hash, since the
 * rename of the fields moved nothing; `bare`: neither history nor context.
 */
export const GENERATIONS = ['list', 'early', 'threads', 'mixed', 'bare'] as const;
export type Generation = (typeof GENERATIONS)[number];

/** Thread of entries that were written before there were agents; the name that the older systems gave it themselves. */
export const DEFAULT_AGENT = 'default';

export interface SessionPayload {
  readonly generation: Generation;
  readonly threads: LegacyThread[];
  /** The older one first, where a hash has both fields. */
  readonly contexts: readonly Record<string, unknown>[];
  /** Fields that no generation has: as JSON where they are, else as text. */
  readonly fields: Record<string, unknown>;
}

const KNOWN_FIELDS: ReadonlySet<string> = new Set(['history', 'context', 'chat_history', 'corememory']);

/** The fields of one hash, each as its text. Throws ERR_LEGACY_UNREADABLE or ERR_LEGACY_TOO_LARGE that name key and field. */
export function parseSession(key: string, fields: ReadonlyMap<string, string>, limits: LegacyLimits): SessionPayload {
  const json = (field: string): unknown => {
    const text = fields.get(field);
    return text === undefined ? undefined : parseLegacyJson(text, `${shownKey(key)} field ${field}`, limits.maxDepth);
  };
  const history = json('history');
  const chatHistory = json('chat_history');
  const others = sortedFields(fields).filter(([name]) => !KNOWN_FIELDS.has(name));
  return {
    generation: generationOf(fields, chatHistory),
    threads: [
      ...(history === undefined ? [] : [listOnly(history, `${shownKey(key)} field history`, limits)]),
      ...(chatHistory === undefined ? [] : listOrThreads(chatHistory, `${shownKey(key)} field chat_history`, limits)),
    ],
    contexts: ['context', 'corememory'].map((field) => objectOnly(json(field), `${shownKey(key)} field ${field}`)),
    fields: Object.fromEntries(others.map(([name, text]) => [name, jsonOrText(text, limits.maxDepth)])),
  };
}

function generationOf(fields: ReadonlyMap<string, string>, chatHistory: unknown): Generation {
  const isOld = fields.has('history') || fields.has('context');
  const isNew = fields.has('chat_history') || fields.has('corememory');
  if (isOld && isNew) return 'mixed';
  if (isOld) return 'list';
  if (!isNew) return 'bare';
  return Array.isArray(chatHistory) ? 'early' : 'threads';
}

/** `{id}:hist` as text: JSON, a list or threads. */
export function parseHistoryText(key: string, text: string, limits: LegacyLimits): LegacyThread[] {
  const value = parseLegacyJson(text, shownKey(key), limits.maxDepth);
  return value === undefined ? [] : listOrThreads(value, shownKey(key), limits);
}

/** `{id}:hist` as a Redis list: one JSON entry for each item. */
export function parseHistoryItems(key: string, items: readonly string[], limits: LegacyLimits): LegacyThread[] {
  const where = (index: number) => `${shownKey(key)} item ${index}`;
  return [
    {
      agent: DEFAULT_AGENT,
      entries: items.map((text, index) =>
        parseEntry(parseLegacyJson(text, where(index), limits.maxDepth), where(index), limits),
      ),
    },
  ];
}

function listOrThreads(value: unknown, where: string, limits: LegacyLimits): LegacyThread[] {
  if (Array.isArray(value)) return [listOnly(value, where, limits)];
  if (!isObject(value)) throw LEGACY_UNREADABLE.with(`${where}: neither a list nor threads by agent`);
  const threads = Object.entries(value);
  if (threads.length > limits.maxThreads)
    throw LEGACY_TOO_LARGE.with(`${where}: ${threads.length} of ${limits.maxThreads} threads`);
  // The agent's name is free text too: errors tell the position.
  return threads.map(([agent, entries], index) => ({
    agent,
    entries: entriesOf(entries, `${where} thread ${index}`, limits),
  }));
}

function listOnly(value: unknown, where: string, limits: LegacyLimits): LegacyThread {
  return { agent: DEFAULT_AGENT, entries: entriesOf(value, where, limits) };
}

function entriesOf(value: unknown, where: string, limits: LegacyLimits) {
  if (!Array.isArray(value)) throw LEGACY_UNREADABLE.with(`${where}: not a list`);
  if (value.length > limits.maxTurns)
    throw LEGACY_TOO_LARGE.with(`${where}: ${value.length} of ${limits.maxTurns} entries`);
  return value.map((entry, index) => parseEntry(entry, `${where} entry ${index}`, limits));
}

function objectOnly(value: unknown, where: string): Record<string, unknown> {
  if (value === undefined) return {};
  if (!isObject(value)) throw LEGACY_UNREADABLE.with(`${where}: not an object`);
  return value;
}
