import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import { assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

const CALLS = 40;
const TURNS = 4;

test('forty calls at once on one worker: every frame is accounted for, every transcript whole, no audio after StopAudio', async () => {
  const worker = { memoryLimitMiB: 1024, hardSlotLimit: 60 };
  const fleet = await Fleet.start({ spec: { minWorkers: 1, maxWorkers: 1, slotsPerWorker: 50, worker } });
  try {
    const calls = Array.from({ length: CALLS }, () =>
      fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(TURNS, { pauseMs: 1_000 }) }),
    );
    const records = await Promise.all(calls.map((call) => call.done));
    for (const record of records) {
      assert.equal(record.disconnectedBy, 'caller');
      assert.equal(record.framesAfterStop, 0);
      await untilArchived(fleet, record.callConnectionId ?? '');
      await assertWholeTranscript(fleet, record.callConnectionId ?? '', TURNS);
    }
    const [serving] = fleet.workers();
    assert.ok(serving);
    const sent = records.reduce((sum, { framesSent }) => sum + framesSent, 0);
    const heard = async () => Number(/^rtvoice_audio_frames_in_total (\d+)/m.exec(await fleet.metrics(serving))?.[1]);
    // The page is a second old at the most.
    await until(async () => (await heard()) === sent, `the worker has heard all ${sent} frames`);
    assert.equal((await fleet.status(serving)).calls.length, 0);
  } finally {
    await fleet.stop();
  }
});
