import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, summaryOf, untilArchived } from '../support/story.ts';

test('a drain from outside hands its calls over at the deadline: another worker goes on, nothing is lost', async () => {
  const fleet = await Fleet.start({ spec: { drain: { atDeadline: 'HandOver' } }, azure: { mediaRedial: 'once' } });
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(6, { pauseMs: 1_500 }) });
    const id = await answeredTurns(call, 2);
    const owner = await fleet.ownerOf(id);
    assert.ok(owner);
    await fleet.drain(owner.worker, { deadlineMs: 200, reason: 'node upgrade' });
    const record = await call.done;
    assert.equal(record.disconnectedBy, 'caller');
    await untilArchived(fleet, id);
    await assertWholeTranscript(fleet, id, 6);
    const workers = (await summaryOf(fleet, id))?.workers as string[];
    assert.equal(workers.length, 2);
    assert.notEqual(workers[1], owner.worker.id);
  } finally {
    await fleet.stop();
  }
});

test('a drain from outside that hangs up says so first, and archives the reason', async () => {
  const fleet = await Fleet.start({ spec: { drain: { atDeadline: 'HangUp' } } });
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(20, { pauseMs: 1_000 }) });
    const id = await answeredTurns(call, 2);
    const owner = await fleet.ownerOf(id);
    assert.ok(owner);
    const heard = call.record.framesReceived;
    await fleet.drain(owner.worker, { deadlineMs: 200, reason: 'node upgrade' });
    const record = await call.done;
    assert.equal(record.disconnectedBy, 'worker');
    // The notice of this backend is a tone of ten frames.
    assert.ok(record.framesReceived - heard >= 10, 'the notice was heard to its end');
    await untilArchived(fleet, id);
    assert.equal((await summaryOf(fleet, id))?.reason, 'drainDeadline');
  } finally {
    await fleet.stop();
  }
});
