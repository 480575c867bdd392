import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { CallerKey } from './caller_key.ts';
import { CLEAR_MEMBERS, type RecordKind } from './policy.ts';
import { openBody, sealBody } from './seal.ts';

const SECRET = randomBytes(32);
const newKey = (more: { kid?: string; tenant?: string; secret?: Buffer } = {}) =>
  new CallerKey(more.kid ?? 'u-1.a', more.tenant ?? 'acme', more.secret ?? SECRET);
const kinds = Object.keys(CLEAR_MEMBERS) as RecordKind[];
const anyKind = fc.constantFrom(...kinds);
/** Bodies as records are: JSON, with members of the policy among them, and the one name that sealing needs. */
const anyBody = fc
  .dictionary(fc.oneof(fc.string(), fc.constantFrom('seq', 'role', 'text', 'from', 'state', 'sealed')), fc.jsonValue())
  .map((body) => JSON.parse(JSON.stringify(body)) as Record<string, unknown>);
const notAuthentic = { code: 'ERR_RECORD_NOT_AUTHENTIC' };
const turn = { kind: 'turn', id: 'c1/turn-000001' } as const;

test('every body comes back as it was, for every kind', () => {
  fc.assert(
    fc.property(anyKind, anyBody, (kind, body) => {
      const ref = { kind, id: 'c1/x' };
      const sealed = sealBody(newKey(), 1, ref, body);
      assert.deepEqual(openBody(newKey(), ref, sealed.header, sealed.body), body);
    }),
  );
});

test('only the members of the policy stand in clear', () => {
  fc.assert(
    fc.property(anyKind, anyBody, (kind, body) => {
      const clear: readonly string[] = CLEAR_MEMBERS[kind as keyof typeof CLEAR_MEMBERS];
      const { sealed, ...rest } = sealBody(newKey(), 1, { kind, id: 'x' }, body).body;
      assert.equal(typeof sealed, 'string');
      for (const name of Object.keys(rest)) assert.ok(clear.includes(name), name);
    }),
  );
});

test('sealing again gives the same bytes; another content, record or version gives another nonce', () => {
  fc.assert(
    fc.property(anyBody, anyBody, (one, two) => {
      const first = sealBody(newKey(), 1, turn, one);
      assert.deepEqual(sealBody(newKey(), 1, turn, structuredClone(one)), first);
      const others = [sealBody(newKey(), 1, { ...turn, id: 'c1/turn-000002' }, one), sealBody(newKey(), 2, turn, one)];
      if (JSON.stringify(one) !== JSON.stringify(two)) others.push(sealBody(newKey(), 1, turn, two));
      for (const other of others) assert.notEqual(other.header.n, first.header.n);
    }),
  );
});

test('a record opens for its own key, tenant, kind, id and version alone', () => {
  const { header, body } = sealBody(newKey(), 1, turn, { seq: 1, text: 'secret words' });
  const cases: [string, () => unknown][] = [
    ['other secret', () => openBody(newKey({ secret: randomBytes(32) }), turn, header, body)],
    ['other key id', () => openBody(newKey({ kid: 'u-2.a' }), turn, header, body)],
    ['other tenant', () => openBody(newKey({ tenant: 'other' }), turn, header, body)],
    ['tenant renamed', () => openBody(newKey({ tenant: 'other' }), turn, { ...header, tn: 'other' }, body)],
    ['other id', () => openBody(newKey(), { ...turn, id: 'c2/turn-000001' }, header, body)],
    ['other kind', () => openBody(newKey(), { ...turn, kind: 'summary' }, header, body)],
    ['other version', () => openBody(newKey(), turn, { ...header, v: 2 }, body)],
    ['clear member changed', () => openBody(newKey(), turn, header, { ...body, seq: 2 })],
    ['clear member added', () => openBody(newKey(), turn, header, { ...body, role: 'caller' })],
    ['clear member gone', () => openBody(newKey(), turn, header, { sealed: body.sealed })],
    ['no sealed part', () => openBody(newKey(), turn, header, { seq: 1 })],
    ['no nonce', () => openBody(newKey(), turn, { ...header, n: '' }, body)],
  ];
  for (const [name, open] of cases) assert.throws(open, notAuthentic, name);
  assert.throws(
    () => openBody(newKey(), turn, header, { ...body, seq: 2 }),
    (error: Error) => !`${error.message} ${String(error.cause)}`.includes('secret'),
  );
});

test('no byte of nonce, ciphertext or tag can be changed', () => {
  const { header, body } = sealBody(newKey(), 1, turn, { seq: 1, role: 'caller', text: 'hello' });
  const flips = (text: string, open: (changed: string) => unknown) => {
    const bytes = Buffer.from(text, 'base64url');
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 128]) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ bit, at);
        assert.throws(() => open(changed.toString('base64url')), notAuthentic, `byte ${at}`);
      }
    }
    // The last letter of base64url holds bits that decoders ignore.
    assert.throws(() => open(`${text}A`), notAuthentic);
    assert.throws(() => open(`${text}=`), notAuthentic);
  };
  flips(header.n, (n) => openBody(newKey(), turn, { ...header, n }, body));
  flips(String(body.sealed), (sealed) => openBody(newKey(), turn, header, { ...body, sealed }));
});

test('the order in which a store keeps clear members means nothing, and what is undefined is not there', () => {
  const { header, body } = sealBody(newKey(), 1, turn, { seq: 1, role: 'caller', text: 'x', atMs: undefined });
  const turned = Object.fromEntries(Object.entries(body).reverse());
  assert.deepEqual(openBody(newKey(), turn, header, turned), { seq: 1, role: 'caller', text: 'x' });
});
