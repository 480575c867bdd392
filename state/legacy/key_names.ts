import { Component, DATA_TYPES } from '../keys/component.ts';

/** What this needs of a `RedisKeyManager`, which calls it itself and so cannot be imported here. */
export interface KeyBuilder {
  callKey(callConnectionId: string, component: Component): string;
  conversationKey(sessionId: string, component: Component): string;
}

/** What a flat key holds. */
export type LegacyKeyKind =
  | 'session'
  | 'mediaSession'
  | 'history'
  | 'recording'
  | 'participants'
  | 'callSession'
  | 'mediaStream'
  | 'callMap'
  | 'streamMode'
  | 'recordingPreference';

export interface LegacyKey {
  readonly kind: LegacyKeyKind;
  /** The session or call id in it, as it was written: free text. */
  readonly id: string;
}

interface Rule {
  readonly kind: LegacyKeyKind;
  readonly prefix: string;
  readonly suffix: string;
}

const rule = (kind: LegacyKeyKind, prefix: string, suffix = ''): Rule => ({ kind, prefix, suffix });

/** What `session:*` also stands for and must not be taken for: short-lived state of tools, one string for each client. */
const TOOL_STATE = /:(card_application|esign_code):/;

/** Of any app prefix and environment: a key of another deployment is not ours to move either. */
const HIERARCHICAL = new RegExp(`^[a-z0-9][a-z0-9-]{0,39}:(?:dev|test|staging|prod):(?:${DATA_TYPES.join('|')}):`);

/** The first that matches decides: an id may hold colons, so `session:a:hist` fits two of them and is a session. */
const RULES: readonly Rule[] = [
  rule('mediaSession', 'session:media_'),
  rule('session', 'session:'),
  rule('recording', 'call:', ':recording'),
  rule('participants', 'call:', ':participants'),
  rule('callSession', 'call:', ':session'),
  rule('mediaStream', 'call:', ':media_streaming_status'),
  rule('callMap', 'call_session_map:'),
  rule('callMap', 'call_session_mapping:'),
  rule('streamMode', 'call_stream_mode:'),
  rule('recordingPreference', 'call_recording_preference:'),
  rule('history', '', ':hist'),
];

/**
 * Which flat key of older systems this is, judged by its name alone; undefined for every other key, those of our own grammar
 * (whatever their app prefix) and the tools' own states among them.
 */
export function parseLegacyKey(key: string): LegacyKey | undefined {
  if (HIERARCHICAL.test(key) || (key.startsWith('session:') && TOOL_STATE.test(key))) return undefined;
  for (const { kind, prefix, suffix } of RULES) {
    if (key.length <= prefix.length + suffix.length || !key.startsWith(prefix) || !key.endsWith(suffix)) continue;
    return { kind, id: key.slice(prefix.length, key.length - suffix.length) };
  }
  return undefined;
}

/**
 * The key that takes a flat key's place, by the rename rules of the older systems' own key manager: computes a name, touches nothing.
 * `session:{id}` names the context key; its history goes to `…:conversation:{id}:history`. Undefined for every key without a rule.
 */
export function migrateLegacyKey(keys: KeyBuilder, key: string): string | undefined {
  const found = parseLegacyKey(key);
  switch (found?.kind) {
    case 'session':
      return keys.conversationKey(found.id, Component.CONTEXT);
    case 'mediaSession':
      // The rename rules know no media session: to them it is a session whose id begins with `media_`.
      return keys.conversationKey(`media_${found.id}`, Component.CONTEXT);
    case 'recording':
      return keys.callKey(found.id, Component.RECORDING);
    case 'participants':
      return keys.callKey(found.id, Component.PARTICIPANTS);
    case 'callSession':
      return keys.callKey(found.id, Component.SESSION);
    case 'mediaStream':
      return keys.callKey(found.id, Component.MEDIA_STREAM);
    case 'history':
      return keys.conversationKey(found.id, Component.HISTORY);
    default:
      return undefined;
  }
}

/** The flat keys of one call or conversation, in the order in which they are read; `callMap` has an alias. */
export const legacyKeys = {
  session: (id: string) => `session:${id}`,
  mediaSession: (id: string) => `session:media_${id}`,
  history: (id: string) => `${id}:hist`,
  recording: (id: string) => `call:${id}:recording`,
  participants: (id: string) => `call:${id}:participants`,
  callSession: (id: string) => `call:${id}:session`,
  mediaStream: (id: string) => `call:${id}:media_streaming_status`,
  callMap: (id: string) => `call_session_map:${id}`,
  callMapAlias: (id: string) => `call_session_mapping:${id}`,
  streamMode: (id: string) => `call_stream_mode:${id}`,
  recordingPreference: (id: string) => `call_recording_preference:${id}`,
} as const;
