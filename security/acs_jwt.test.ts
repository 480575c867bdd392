import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Clock, systemClock } from '../platform/clock.ts';
import { AUDIENCE, ISSUER, startTokenIssuer, type TokenIssuer } from '../test/support/token_issuer.ts';
import { type AcsJwt, createAcsJwt } from './acs_jwt.ts';

describe('tokens of ACS', () => {
  let issuer: TokenIssuer;
  let nowMs = 0;
  /** Real time of day (the library checks with it), own monotonic time (ages and pauses). */
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const create = (changes = {}): AcsJwt =>
    createAcsJwt({
      issuer: ISSUER,
      audience: AUDIENCE,
      jwksUrl: issuer.url,
      clock,
      unknownKeyCooldownMs: 0,
      ...changes,
    });
  const kindOf = async (auth: AcsJwt, token: string) => {
    const verdict = await auth.verify(`Bearer ${token}`);
    return verdict.kind === 'refused' ? verdict.reason : verdict.kind;
  };

  beforeEach(async () => {
    nowMs = 0;
    issuer = await startTokenIssuer();
  });
  afterEach(() => issuer.close());

  test('one fetch serves many tokens, and a token is verified once', async () => {
    const auth = create();
    const token = await issuer.token();
    assert.deepEqual(await Promise.all([token, token, await issuer.token()].map((each) => kindOf(auth, each))), [
      'ok',
      'ok',
      'ok',
    ]);
    assert.equal(issuer.fetches, 1);
  });

  test('rotation: a key that appears is found, a key that was withdrawn is not', async () => {
    const auth = create({ refreshAfterMs: 1000 });
    assert.equal(await kindOf(auth, await issuer.token()), 'ok');
    await issuer.publish('k1', 'k2');
    assert.equal(await kindOf(auth, await issuer.token({ keyId: 'k2' })), 'ok');
    await issuer.publish('k2');
    nowMs += 1001;
    // The first look at old keys starts the refresh in the background and goes on with them.
    assert.equal(await kindOf(auth, await issuer.token({ keyId: 'k2' })), 'ok');
    while (issuer.fetches < 3) await new Promise((resolve) => setImmediate(resolve));
    let verdict = 'ok';
    while (verdict === 'ok') verdict = await kindOf(auth, await issuer.token({ keyId: 'k1' }));
    assert.equal(verdict, 'unknown_key');
  });

  test('unknown key ids ask the issuer once per pause, however many come', async () => {
    const auth = create({ unknownKeyCooldownMs: 30_000 });
    assert.equal(await kindOf(auth, await issuer.token()), 'ok');
    for (const keyId of ['a', 'b', 'c']) assert.equal(await kindOf(auth, await issuer.token({ keyId })), 'unknown_key');
    assert.equal(issuer.fetches, 1);
  });

  test('the issuer away: known keys go on at any age, unknown ones are unavailable, and it is not asked in a loop', async () => {
    const auth = create({ refreshAfterMs: 1000 });
    assert.equal(await kindOf(auth, await issuer.token()), 'ok');
    issuer.setDown(true);
    nowMs += 86_400_000;
    assert.equal(await kindOf(auth, await issuer.token()), 'ok');
    for (let n = 0; n < 5; n++) assert.equal(await kindOf(auth, await issuer.token({ keyId: 'k2' })), 'unavailable');
    const asked = issuer.fetches;
    assert.ok(asked <= 3, `asked ${asked} times`);
    issuer.setDown(false);
    await issuer.publish('k1', 'k2');
    nowMs += 2001;
    let verdict = 'unavailable';
    while (verdict === 'unavailable') verdict = await kindOf(auth, await issuer.token({ keyId: 'k2' }));
    assert.equal(verdict, 'ok');
  });

  test('never any keys: unavailable, not refused', async () => {
    issuer.setDown(true);
    assert.equal(await kindOf(create(), await issuer.token()), 'unavailable');
  });

  test('a remembered token is looked at again after its life', async () => {
    const auth = create();
    const expiresAt = Math.floor(Date.now() / 1000) + 1;
    const token = await issuer.token({ expiresAt });
    assert.equal(await kindOf(auth, token), 'ok');
    let wallMs = Date.now();
    const later = createAcsJwt({
      issuer: ISSUER,
      audience: AUDIENCE,
      jwksUrl: issuer.url,
      clock: { ...clock, wallMs: () => wallMs },
    });
    assert.equal(await kindOf(later, token), 'ok');
    wallMs += 62_000;
    nowMs += 62_000;
    assert.equal(await kindOf(later, token), 'expired');
  });
});
