import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { celRules } from '../../contract/pool_cel.ts';
import { checkPool } from '../../contract/pool_check.ts';
import { fieldName } from '../../contract/pool_faults.ts';
import { type Answer, CrdServer, lacksApiServer } from '../support/crd_server.ts';
import {
  fieldCases,
  fullDocument,
  type Json,
  type PoolCase,
  poolCases,
  RULE_CASES,
  TRANSITION_CASES,
} from '../support/pool_documents.ts';

/** Requests that are under way at the same time. */
const WIDTH = 8;
const STRICT = '?fieldValidation=Strict&dryRun=All';

describe('what the API server takes and refuses, local mode does too', { skip: lacksApiServer() }, () => {
  let server: CrdServer;
  before(async () => {
    server = await CrdServer.start();
  });
  after(() => server[Symbol.asyncDispose]());

  const asked = (document: Json) => server.pools('POST', STRICT, document);

  it('on every shared document: verdict, field and the values that are filled in', async () => {
    const wrong = (await mapWide(poolCases(), async (one) => disagreement(one, await asked(one.document)))).flat();
    assert.deepEqual(wrong, []);
  });

  it('on documents with several things changed at once', async () => {
    const changes = fieldCases().filter(({ name }) => !name.endsWith('missing'));
    const good = changes.filter(({ refused }) => refused === undefined);
    // Good values together are what breaks rules over several fields; among many bad ones nothing would be taken.
    const some = [good, good, changes].map((from) =>
      fc.array(fc.constantFrom(...from), { minLength: 2, maxLength: 5 }),
    );
    const documents = fc.sample(fc.oneof(...some), 200).map((chosen) => ({
      name: chosen.map(({ name }) => name).join(' + '),
      document: chosen.map(({ document }) => document).reduce(overlay, fullDocument()),
    }));
    let taken = 0;
    const wrong = await mapWide(documents, async ({ name, document }) => {
      const { code, body } = await asked(document);
      const copy = structuredClone(document);
      const faults = checkPool(copy).map(({ path }) => fieldName(path));
      if (code >= 400) return faults.length > 0 ? [] : [`${name}: only the API server refuses it: ${body.message}`];
      if (faults.length > 0) return [`${name}: only local mode refuses it, for ${faults.join(', ')}`];
      assert.deepEqual(copy.spec, body.spec, name);
      taken += 1;
      return [];
    });
    assert.deepEqual(wrong.flat(), []);
    assert.ok(taken >= 40 && taken <= 160, `${taken} of 200 were taken: one side of the question was hardly asked`);
  });

  it('says a broken rule in the words that local mode says', async () => {
    for (const [field, , bad] of RULE_CASES) {
      const { code, body } = await asked(bad);
      const text = celRules().find((rule) => rule.field === field)?.text;
      assert.equal(code, 422);
      const cause = body.details?.causes?.find((one) => one.field === field);
      assert.ok(cause?.message?.includes(`${field} ${text}`), `${field}: ${body.message}`);
    }
  });

  it('refuses a change of an immutable field and takes the same document again', async () => {
    for (const [field, first, second] of TRANSITION_CASES) {
      const { code, body: made } = await server.pools('POST', '', first);
      assert.equal(code, 201, made.message);
      const { resourceVersion } = made.metadata as { resourceVersion: string };
      const put = (document: Json) =>
        server.pools('PUT', '/desk', { ...document, metadata: { name: 'desk', resourceVersion } });
      assert.equal((await put(first)).code, 200);
      const { code: refused, body } = await put(second);
      assert.equal(refused, 422);
      assert.match(body.message ?? '', new RegExp(`${field}: (Invalid value|Forbidden).*${field} is immutable`));
      assert.equal((await server.pools('DELETE', '/desk')).code, 200);
    }
  });

  it('refuses a name of 41 characters and one that is no DNS label, and makes one of 40', async () => {
    for (const [name, expected] of [
      ['a'.repeat(41), 422],
      ['a.b', 422],
      ['a'.repeat(40), 201],
    ] as const) {
      const { code, body } = await server.pools('POST', '', { ...fullDocument(), metadata: { name } });
      assert.equal(code, expected, body.message);
      if (expected === 422) assert.match(body.message ?? '', /metadata\.name is not a DNS label of at most 40/);
    }
  });
});

/** What the API server says against what the case says; local mode is held to the same in contract/pool.test.ts. */
function disagreement({ name, document, refused }: PoolCase, { code, body }: Answer): string[] {
  if (refused !== undefined) {
    if (code < 400) return [`${name}: taken`];
    // A strict decoder has no causes: its message holds the quoted path.
    const fields = body.details?.causes?.map((cause) => cause.field) ?? [];
    const named = fields.includes(refused) || body.message?.includes(`unknown field "${refused}"`);
    return named ? [] : [`${name}: refused, but not at ${refused}: ${body.message}`];
  }
  if (code >= 400) return [`${name}: refused: ${body.message}`];
  const copy = structuredClone(document);
  checkPool(copy);
  try {
    assert.deepEqual(copy.spec, body.spec);
    return [];
  } catch (error) {
    return [`${name}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** What differs from the full document in either of the two. */
function overlay(base: Json, changed: Json): Json {
  const plain = fullDocument();
  const merge = (left: unknown, right: unknown, origin: unknown): unknown => {
    if (!isObject(left) || !isObject(right) || !isObject(origin)) {
      return JSON.stringify(right) === JSON.stringify(origin) ? left : right;
    }
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    return Object.fromEntries([...names].map((name) => [name, merge(left[name], right[name], origin[name])]));
  };
  // As it is sent: without fields that are undefined.
  return JSON.parse(JSON.stringify(merge(base, changed, plain))) as Json;
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

async function mapWide<T, R>(values: readonly T[], act: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < values.length; start += WIDTH) {
    results.push(...(await Promise.all(values.slice(start, start + WIDTH).map(act))));
  }
  return results;
}
