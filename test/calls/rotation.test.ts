import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { answeredTurns, assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

test('ACS signs with new keys in mid-call: callbacks and a new media socket are let in, and nothing is cut', async () => {
  const fleet = await Fleet.start({ azure: { mediaRedial: 'once' } });
  try {
    const call = fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(5, { pauseMs: 1_000 }) });
    const id = await answeredTurns(call, 1);
    await fleet.azure.acs.rotateKeys();
    await answeredTurns(call, 2);
    // The new socket comes with a token of the new key.
    call.dropMedia();
    const record = await call.done;
    assert.equal(record.mediaConnects, 2);
    assert.equal(record.disconnectedBy, 'caller');
    assert.ok(
      record.callbacks.every(({ statuses }) => statuses.at(-1) === 200),
      'the callbacks signed by the new key were taken',
    );
    await untilArchived(fleet, id);
    await assertWholeTranscript(fleet, id, 5);
  } finally {
    await fleet.stop();
  }
});
