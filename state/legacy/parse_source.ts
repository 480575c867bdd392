import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import { LEGACY_UNREADABLE, shownKey } from './errors.ts';
import { jsonOrText } from './json_text.ts';
import type { LegacyKeyKind } from './key_names.ts';
import type { LegacyLimits } from './limits.ts';
import type { LegacyThread } from './merge.ts';
import { parseHistoryItems, parseHistoryText, parseSession, type SessionPayload } from './payload.ts';
import { type LegacyFault, type LegacySource, type LegacyValue, sortedFields } from './source.ts';

/** Records of the call's own that are neither session nor conversation, by the component they go to. */
export type MigratedComponents = Partial<Record<'recording' | 'participants' | 'mediaStream', Record<string, unknown>>>;

/** What a source says, not yet put together. */
export interface ParsedSource {
  sessions: { name: string; payload: SessionPayload }[];
  threads: LegacyThread[][];
  callSession: unknown;
  settings: Record<string, unknown>;
  components: MigratedComponents;
  read: LegacyValue[];
  faults: LegacyFault[];
}

/** Kinds that make a conversation; the others only say more about one. */
const CARRIES: ReadonlySet<LegacyKeyKind> = new Set<LegacyKeyKind>([
  'session',
  'mediaSession',
  'history',
  'callSession',
  'recording',
  'participants',
  'mediaStream',
]);

/** False for what only says more about a call that has records of its own. */
export function isConversation({ kind }: LegacyValue): boolean {
  return CARRIES.has(kind);
}

/** Reads every value by itself: one that cannot be read is a fault and left out. */
export function parseSource(source: LegacySource, limits: LegacyLimits): ParsedSource {
  const parsed: ParsedSource = {
    sessions: [],
    threads: [],
    callSession: undefined,
    settings: {},
    components: {},
    read: [],
    faults: [...source.faults],
  };
  for (const value of source.values) {
    try {
      parseOne(value, parsed, limits);
      parsed.read.push(value);
    } catch (error) {
      if (!(error instanceof RtvoiceError)) throw error;
      parsed.faults.push({ key: value.key, code: errorCode(error), reason: error.message });
    }
  }
  return parsed;
}

function parseOne(value: LegacyValue, parsed: ParsedSource, limits: LegacyLimits): void {
  switch (value.kind) {
    case 'session':
    case 'mediaSession': {
      if (value.value.type !== 'hash') throw wrongType(value, 'hash');
      const payload = parseSession(value.key, value.value.fields, limits);
      parsed.sessions.push({ name: value.key, payload });
      parsed.threads.push(payload.threads);
      return;
    }
    case 'history':
      if (value.value.type === 'string') parsed.threads.push(parseHistoryText(value.key, value.value.text, limits));
      else if (value.value.type === 'list')
        parsed.threads.push(parseHistoryItems(value.key, value.value.items, limits));
      else throw wrongType(value, 'string or list');
      return;
    case 'callSession':
      parsed.callSession = anyValue(value, limits);
      return;
    case 'recording':
    case 'participants':
    case 'mediaStream':
      parsed.components[value.kind] = { value: anyValue(value, limits) };
      return;
    default:
      if (value.value.type !== 'string') throw wrongType(value, 'string');
      if (value.kind !== 'callMap') parsed.settings[value.kind] = value.value.text;
  }
}

/** As JSON where it is JSON, else as text: nobody reads these but people. */
function anyValue({ value }: LegacyValue, limits: LegacyLimits): unknown {
  if (value.type === 'string') return jsonOrText(value.text, limits.maxDepth);
  if (value.type === 'list') return value.items.map((item) => jsonOrText(item, limits.maxDepth));
  return Object.fromEntries(
    sortedFields(value.fields).map(([name, text]) => [name, jsonOrText(text, limits.maxDepth)]),
  );
}

function wrongType({ key, value }: LegacyValue, wanted: string): Error {
  return LEGACY_UNREADABLE.with(`${shownKey(key)}: a ${value.type}, not a ${wanted}`);
}
