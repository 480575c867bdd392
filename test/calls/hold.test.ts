import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { refreshPeriodMs } from '../../state/calls/ttls.ts';
import { AcsFarEnd, poolSpec, ring, SocketEnd, startCallsWorker, until } from '../support/calls_worker.ts';
import { startRedis } from '../support/redis.ts';

/** In place of hours; the fence keeps its own. */
const TTLS = { sessionMs: 3_000, contextMs: 3_000, historyMs: 3_000, outboxMs: 6_000 };

test('a hold of more than every time to live, without a turn, loses nothing of the call', async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const acs = new AcsFarEnd();
  const spec = poolSpec((changed) => {
    changed.call.idleTimeoutSeconds = 3_600;
  });
  const refreshAfterMs = refreshPeriodMs({ ...TTLS, ownerMs: 0, summaryMs: 0 });
  const worker = await startCallsWorker({ redisUrl: redis.url, acs, spec, ttls: TTLS, refreshAfterMs });
  t.after(() => worker[Symbol.asyncDispose]());
  worker.host.serving();
  assert.equal(await worker.host.ring(ring()), 'accepted');
  await until(() => acs.answers.length === 1, 'the ring is answered');
  const { callRef, callConnectionId } = acs.answers[0] ?? { callRef: '', callConnectionId: '' };
  worker.host.openMedia(callRef, new SocketEnd(), { callConnectionId, correlationId: 'x' });
  const stored = async () => (await worker.store.read(callConnectionId)).history.map(({ text }) => text);
  assert.ok(worker.voice.turn(callRef, 'please hold'));
  const before = ['please hold', 're: please hold'];
  await until(async () => (await stored()).length === 2, 'the turn is written');

  await delay(2.5 * TTLS.sessionMs);
  const { session, unarchived } = await worker.store.read(callConnectionId);
  assert.equal(session?.callRef, callRef);
  assert.deepEqual(await stored(), before);
  assert.equal(unarchived.length, 2, 'nothing is archived here, so that it waits');

  assert.ok(worker.voice.turn(callRef, 'there I am'));
  await until(async () => (await stored()).length === 4, 'the next turn joins the others');
  assert.deepEqual(await stored(), [...before, 'there I am', 're: there I am']);
});
