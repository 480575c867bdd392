import type { PartitionKey } from '@azure/cosmos';
import { safeIdentifier } from '../../contract/ids.ts';
import { contentHash } from '../calls/content.ts';
import type { EnvelopeHeader } from '../envelope.ts';
import type { ArchiveRecord } from '../outbox/ports.ts';
import type { ArchiveKind } from '../ports.ts';
import { type ContainerName, DOCUMENT_SCHEMA_VERSION } from './containers.ts';

export type CosmosDocument = Record<string, unknown> & { id: string };

/** Where a record is kept, and as what. */
export interface Placement {
  readonly container: ContainerName;
  readonly partition: PartitionKey & (string | string[]);
  readonly document: CosmosDocument;
}

/** The service refuses these characters; the SDK does so without a status, which would look like trouble that passes. */
const DOCUMENT_ID = /^[^/\\?#]{1,230}$/;
const ANALYTICS_BUCKETS = 16;
/** Names that the document needs for itself. A body's own member of that name stands under `shadowed`, so that a record comes back whole. */
const RESERVED: ReadonlySet<string> = new Set([
  'id',
  'callConnectionId',
  'kind',
  'envelope',
  'schemaVersion',
  'recordId',
  'shadowed',
  'ttl',
  'dayBucket',
  'month',
  'day',
]);

/**
 * The place of a record that is written once and never changed (profiles are merged instead), or why it can have none. The body is
 * not opened: its members stand at the top as they came, so that people and analytics read what is clear without a detour.
 */
export function placementOf(record: ArchiveRecord): Placement | { readonly refused: string } {
  if (!DOCUMENT_ID.test(record.id)) return { refused: 'the id cannot be a document id' };
  switch (record.kind) {
    case 'turn':
    case 'summary':
      return { container: 'transcripts', partition: record.callConnectionId, document: documentOf(record) };
    case 'analytics':
      return analytics(record);
    case 'audit':
      return audit(record);
    case 'metrics':
      return metrics(record);
    case 'profile':
      return { refused: 'a profile is merged, never written as it is' };
  }
}

function analytics(record: ArchiveRecord): ReturnType<typeof placementOf> {
  const day = dayOf(record.body.endedAtMs);
  if (day === undefined) return { refused: 'analytics without endedAtMs' };
  const call = safeIdentifier(record.callConnectionId);
  const slice =
    Number.parseInt(
      contentHash(call)
        .slice(0, 6)
        .replace(/[^A-Za-z0-9]/g, '0'),
      36,
    ) % ANALYTICS_BUCKETS;
  const dayBucket = `${day}~${String(slice).padStart(2, '0')}`;
  // Many calls share a bucket, and each has its record under the same id.
  const own = { id: `${call}.${record.id}`, recordId: record.id, dayBucket };
  return { container: 'analytics', partition: dayBucket, document: documentOf(record, own) };
}

function audit(record: ArchiveRecord): ReturnType<typeof placementOf> {
  const { tenantId, atMs } = record.body;
  const month = dayOf(atMs)?.slice(0, 7);
  if (typeof tenantId !== 'string' || tenantId === '' || month === undefined)
    return { refused: 'audit without tenantId or atMs' };
  return { container: 'audit', partition: [tenantId, month, record.id], document: documentOf(record, { month }) };
}

function metrics(record: ArchiveRecord): ReturnType<typeof placementOf> {
  const { pool, atMs } = record.body;
  const day = dayOf(atMs);
  if (typeof pool !== 'string' || pool === '' || day === undefined) return { refused: 'metrics without pool or atMs' };
  return { container: 'metrics', partition: [pool, day], document: documentOf(record, { day }) };
}

/** The same record under another document id. */
export function besideOf(placement: Placement, record: ArchiveRecord): Placement {
  const id = `${placement.document.id}~${contentHash(record.body)}`;
  const partition = placement.container === 'audit' ? [...placement.partition.slice(0, 2), id] : placement.partition;
  return {
    ...placement,
    partition: partition as Placement['partition'],
    document: { ...placement.document, id, recordId: record.id },
  };
}

export function documentOf(record: ArchiveRecord, own: Record<string, unknown> = {}): CosmosDocument {
  const members = Object.entries(record.body);
  const shadowed = members.filter(([name]) => isReserved(name));
  return {
    ...Object.fromEntries(members.filter(([name]) => !isReserved(name))),
    id: record.id,
    callConnectionId: record.callConnectionId,
    kind: record.kind,
    schemaVersion: DOCUMENT_SCHEMA_VERSION,
    envelope: record.header,
    ...(shadowed.length > 0 ? { shadowed: Object.fromEntries(shadowed) } : {}),
    ...own,
  };
}

/** What {@link documentOf} was given; the document's own members and those of the service are left out. */
export function recordOf(document: Record<string, unknown>): ArchiveRecord {
  const shadowed = (document.shadowed ?? {}) as Record<string, unknown>;
  return {
    id: String(document.recordId ?? document.id),
    callConnectionId: String(document.callConnectionId ?? ''),
    kind: document.kind as ArchiveKind,
    header: (document.envelope ?? { v: 1, alg: 'none' }) as EnvelopeHeader,
    body: { ...Object.fromEntries(Object.entries(document).filter(([name]) => !isReserved(name))), ...shadowed },
  };
}

export function sameContent(document: Record<string, unknown>, record: ArchiveRecord): boolean {
  const stored = recordOf(document);
  return stored.kind === record.kind && contentHash(stored.body) === contentHash(record.body);
}

export function withoutSystem(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([name]) => !name.startsWith('_')));
}

function isReserved(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('_');
}

function dayOf(unixMs: unknown): string | undefined {
  if (typeof unixMs !== 'number' || !Number.isFinite(unixMs) || Math.abs(unixMs) > 8.64e15) return undefined;
  return new Date(unixMs).toISOString().slice(0, 10);
}
