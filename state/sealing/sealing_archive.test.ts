import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import type { TenantKeys, WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';
import type { ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import type { CallerKeyStore } from './caller_key_store.ts';
import { CallerKeys } from './caller_keys.ts';
import { SealingMetrics } from './metrics.ts';
import { SealingArchive } from './sealing_archive.ts';

const TENANT_KEYS = {
  tenant: 'acme',
  newest: async () => ({ id: 't1' }),
  byId: async (id: string) => ({ id }),
} as unknown as TenantKeys;

/** A store whose answer is in the key's name, and an archive that keeps what it gets in order. */
function open() {
  const store: CallerKeyStore = {
    read: async () => ({ keys: [], erasure: undefined }),
    put: async ({ kid }: WrappedCallerKey) => {
      if (kid.startsWith('away')) throw new Error('away');
      return kid.startsWith('erased') ? 'erased' : 'stored';
    },
    erase: async () => 0,
  };
  const kept: ArchiveRecord[] = [];
  const inner: CallArchive = {
    write: async (record) => {
      kept.push(record);
      return { kind: 'written' };
    },
    writeAll: async (records) => {
      const at = records.findIndex(({ id }) => id === 'full');
      const taken = at === -1 ? records : records.slice(0, at);
      kept.push(...taken);
      const later: WriteOutcome = { kind: 'later', throttled: true, retryAfterMs: 5, cause: undefined };
      return [...taken.map((): WriteOutcome => ({ kind: 'written' })), ...(at === -1 ? [] : [later])];
    },
    readCall: async () => ({ turns: [], summary: undefined }),
    recordIds: async () => [],
  };
  const metrics = new SealingMetrics(createRegistry({ processMetrics: false }));
  const keys = new CallerKeys({
    tenantKeys: TENANT_KEYS,
    stores: [store],
    clock: systemClock,
    log: silentLog,
    metrics,
  });
  return { kept, archive: new SealingArchive({ archive: inner, keys, mode: 'On', metrics }) };
}

function record(id: string, kid: string | undefined): ArchiveRecord {
  const sealed = { v: 1, alg: 'A256GCM', tn: 'acme', kid, n: 'n', wk: { tk: 't1', w: 'w' } };
  const header = kid === undefined ? { v: 1, alg: 'none' } : sealed;
  return { callConnectionId: 'c', id, kind: 'turn', header, body: { seq: 1, text: 'x' } };
}

test('records keep their order around those that are refused, and nothing behind a later is tried', async () => {
  const { archive, kept } = open();
  const ids = ['fine.1', 'fine.2', 'erased.1', 'fine.1', undefined, 'fine.3', 'away.1', 'fine.1'];
  const outcomes = await archive.writeAll(ids.map((kid, at) => record(`r${at}`, kid)));
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['written', 'written', 'refused', 'written', 'refused', 'written', 'later'],
  );
  assert.deepEqual(
    kept.map(({ id }) => id),
    ['r0', 'r1', 'r3', 'r5'],
  );
  assert.ok(kept.every(({ header }) => !('wk' in header) && header.kid !== undefined));
});

test('what comes behind a record that the archive itself cannot take now waits, also when it would be refused', async () => {
  const { archive, kept } = open();
  const outcomes = await archive.writeAll([
    record('r0', 'fine.1'),
    record('full', 'fine.1'),
    record('r2', 'erased.1'),
    record('r3', 'fine.1'),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['written', 'later'],
  );
  assert.deepEqual(
    kept.map(({ id }) => id),
    ['r0'],
  );
});

test('one by one the answers are the same', async () => {
  const { archive, kept } = open();
  const kinds: string[] = [];
  for (const kid of ['fine.1', 'erased.1', undefined, 'away.1'])
    kinds.push((await archive.write(record('r', kid))).kind);
  assert.deepEqual(kinds, ['written', 'refused', 'refused', 'later']);
  assert.equal(kept.length, 1);
});
