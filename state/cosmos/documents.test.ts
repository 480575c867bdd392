import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ArchiveRecord } from '../outbox/ports.ts';
import { besideOf, documentOf, placementOf, recordOf, sameContent } from './documents.ts';

const header = { v: 1, alg: 'A256GCM', kid: 'k', newer: { deep: 1 } };
const RESERVED = [
  'id',
  'kind',
  'ttl',
  'envelope',
  'schemaVersion',
  'callConnectionId',
  'shadowed',
  '_etag',
  '_ts',
  'day',
];
const name = fc
  .oneof(fc.constantFrom(...RESERVED), fc.stringMatching(/^[a-zA-Z_]{1,8}$/))
  .filter((each) => each !== '__proto__');
const body = fc.dictionary(name, fc.jsonValue(), { maxKeys: 8 });

test('whatever a body holds, the record comes back whole, and the body cannot change how its document is kept', () => {
  fc.assert(
    fc.property(body, (members) => {
      const record: ArchiveRecord = { id: 'turn-1', kind: 'turn', callConnectionId: 'c', header, body: members };
      const document = JSON.parse(JSON.stringify(documentOf(record)));
      // What the service adds is not part of the record.
      const stored = { ...document, _rid: 'r', _etag: '"e"', _ts: 5 };
      assert.deepEqual(recordOf(stored), JSON.parse(JSON.stringify(record)));
      assert.deepEqual(
        [stored.id, stored.kind, stored.callConnectionId, stored.ttl],
        ['turn-1', 'turn', 'c', undefined],
      );
      assert.ok(sameContent(stored, record));
    }),
  );
});

test('a record that is kept beside another has its own document id and the same record id', () => {
  const record: ArchiveRecord = { id: 'turn-1', kind: 'turn', callConnectionId: 'c', header, body: { text: 'x' } };
  const placement = placementOf(record);
  assert.ok(!('refused' in placement));
  const beside = besideOf(placement, record);
  assert.match(beside.document.id, /^turn-1~[\w-]{16}$/);
  assert.deepEqual(recordOf(beside.document), record);
});

test('records without what their place needs are refused by name', () => {
  const refused = (fields: Partial<ArchiveRecord>) => {
    const placement = placementOf({ id: 'a', kind: 'turn', callConnectionId: 'c', header, body: {}, ...fields });
    return 'refused' in placement ? placement.refused : undefined;
  };
  assert.equal(refused({}), undefined);
  assert.match(refused({ id: 'a/b' }) ?? '', /document id/);
  assert.match(refused({ kind: 'analytics', body: { endedAtMs: 'now' } }) ?? '', /endedAtMs/);
  assert.match(refused({ kind: 'audit', body: { atMs: 1 } }) ?? '', /tenantId/);
  assert.match(refused({ kind: 'metrics', body: { pool: 'p', atMs: 1e300 } }) ?? '', /atMs/);
});

test('the calls of a day are spread over its buckets', () => {
  const buckets = new Set(
    Array.from({ length: 400 }, (_, n) => {
      const record = { id: 'analytics', callConnectionId: `call-${n}`, header, body: { endedAtMs: 1_795_000_000_000 } };
      const placement = placementOf({ ...record, kind: 'analytics' });
      return 'refused' in placement ? '' : placement.partition;
    }),
  );
  assert.equal(buckets.size, 16);
});
