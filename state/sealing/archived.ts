import { recordOf } from '../cosmos/documents.ts';
import { parseEnvelope, type RecordCodec } from '../envelope.ts';

type Document = Readonly<Record<string, unknown>>;

/** A turn, end record or figures of a call as the archive has them, opened. Rejects as the codec does. */
export async function openTranscript(codec: RecordCodec, document: Document): Promise<Record<string, unknown>> {
  const { kind, id, callConnectionId, header, body } = recordOf(document);
  return codec.open({ kind, id: `${callConnectionId}/${id}` }, JSON.stringify({ ...header, body }));
}

const BESIDE_PROFILE: ReadonlySet<string> = new Set(['id', 'envelope', 'schemaVersion', 'ttl']);

/** A profile as the archive has it, opened. Rejects as the codec does. */
export async function openProfile(codec: RecordCodec, document: Document): Promise<Record<string, unknown>> {
  const ref = { kind: 'profile', id: String(document.id) } as const;
  const { header, body } = parseEnvelope(
    ref,
    JSON.stringify({ ...(document.envelope as object), body: profileBody(document) }),
  );
  return codec.open(ref, JSON.stringify({ ...header, body }));
}

/** What of a profile's document was its record. */
export function profileBody(document: Document): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => !BESIDE_PROFILE.has(name) && !name.startsWith('_')),
  );
}
