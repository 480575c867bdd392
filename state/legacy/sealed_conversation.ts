import { dedupeId } from '../calls/store.ts';
import { turnBody, turnRef } from '../calls/turn_record.ts';
import type { RecordCodec } from '../envelope.ts';
import type { MigratedConversation } from './convert.ts';
import type { MigratedComponents } from './parse_source.ts';

/** One outbox record, ready for a script. */
export interface SealedEntry {
  readonly dedupe: string;
  readonly id: string;
  readonly kind: string;
  readonly record: string;
}

/** A conversation as it is stored; an empty text stands for no record. */
export interface SealedConversation {
  readonly session: string;
  readonly context: string;
  readonly recording: string;
  readonly participants: string;
  readonly mediaStream: string;
  /** The newest entries alone. */
  readonly history: readonly { readonly seq: number; readonly record: string }[];
  readonly outbox: readonly SealedEntry[];
}

/** The session comes first: a codec that seals finds the call's key by it. */
export async function sealConversation(
  codec: RecordCodec,
  id: string,
  conversation: MigratedConversation,
  maxHistory: number,
): Promise<SealedConversation> {
  const session = await codec.seal({ kind: 'session', id }, conversation.session);
  const context = await codec.seal({ kind: 'context', id }, conversation.context);
  const component = async (name: keyof MigratedComponents): Promise<string> => {
    const body = conversation.components[name];
    // Nothing but the migration knows these: to a codec they are more of the context, sealed as a whole.
    return body ? codec.seal({ kind: 'context', id: `${id}/${name}` }, body) : '';
  };
  const [recording, participants, mediaStream] = [
    await component('recording'),
    await component('participants'),
    await component('mediaStream'),
  ];
  const history: { seq: number; record: string }[] = [];
  for (const entry of conversation.history.slice(-maxHistory)) {
    const body = turnBody(entry, conversation.session.callRef);
    history.push({ seq: entry.seq, record: await codec.seal(turnRef(id, entry.seq), body) });
  }
  const outbox: SealedEntry[] = [];
  for (const entry of conversation.outbox) {
    const record = await codec.seal({ kind: entry.kind, id: `${id}/${entry.id}` }, entry.body);
    outbox.push({ dedupe: dedupeId(entry, codec.tag?.(record)), id: entry.id, kind: entry.kind, record });
  }
  return { session, context, recording, participants, mediaStream, history, outbox };
}
