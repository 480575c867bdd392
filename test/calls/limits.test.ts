import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PoolSpec } from '../../contract/pool.ts';
import { AcsFarEnd, poolSpec, ring, SocketEnd, startCallsWorker, until } from '../support/calls_worker.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis[Symbol.asyncDispose]());

/** One answered call with open media, on a worker whose limits are those of the test. */
async function withCall(
  changes: (spec: PoolSpec) => void,
  story: (parts: {
    acs: AcsFarEnd;
    closeMedia: () => void;
    ended: (reason: string) => Promise<void>;
    socket: SocketEnd;
  }) => Promise<void>,
): Promise<void> {
  await redis.flush();
  const acs = new AcsFarEnd();
  const worker = await startCallsWorker({ redisUrl: redis.url, acs, spec: poolSpec(changes) });
  try {
    assert.equal(await worker.host.ring(ring()), 'accepted');
    await until(() => acs.answers.length === 1, 'the ring is answered');
    const { callRef, callConnectionId } = acs.answers[0] ?? { callRef: '', callConnectionId: '' };
    const socket = new SocketEnd();
    const end = worker.host.openMedia(callRef, socket, { callConnectionId, correlationId: 'x' });
    assert.ok(end);
    await story({
      acs,
      socket,
      closeMedia: () => end.closed(1006),
      ended: (reason) =>
        until(
          async () =>
            new RegExp(`rtvoice_calls_ended_total\\{reason="${reason}"\\} 1`).test(await worker.registry.metrics()),
          `the call ends: ${reason}`,
        ),
    });
  } finally {
    await worker[Symbol.asyncDispose]();
  }
}

test('the longest call ends by its limit: ACS is asked to hang up, and the socket is closed', () =>
  withCall(
    (spec) => {
      spec.call.maxDurationSeconds = 1;
    },
    async ({ acs, ended, socket }) => {
      await ended('maxDuration');
      assert.equal(acs.hungUp.length, 1);
      assert.equal(socket.ended?.reason, 'hangUp');
    },
  ));

test('a call in which nobody speaks ends as idle', () =>
  withCall(
    (spec) => {
      spec.call.idleTimeoutSeconds = 1;
    },
    async ({ acs, ended, socket }) => {
      await ended('idle');
      assert.equal(acs.hungUp.length, 1);
      assert.equal(socket.ended?.reason, 'idle');
    },
  ));

test('lost media is asked for again, and after the grace the call is hung up', () =>
  withCall(
    (spec) => {
      spec.call.mediaReconnectGraceSeconds = 3;
    },
    async ({ acs, closeMedia, ended }) => {
      closeMedia();
      await until(() => acs.mediaAsked.length > 0, 'ACS is asked to stream again');
      await ended('mediaLost');
      assert.equal(acs.hungUp.length, 1);
    },
  ));
