import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Fleet } from '../support/fleet.ts';
import { archivedTurns, summaryOf, untilArchived } from '../support/story.ts';

const dialogue = fileURLToPath(new URL('../../examples/dialogue.yaml', import.meta.url));

test('two callers speak at once: each transcript is word for word, a barge-in stops the answer, a wish for a person is a transfer', async () => {
  const fleet = await Fleet.start({
    spec: { voice: { backend: 'Offline', dialogue }, worker: { memoryLimitMiB: 1024 } },
  });
  try {
    const listen = { kind: 'waitForAnswer' as const };
    const ada = fleet.azure.placeCall({
      ringUrl: fleet.ringUrl,
      script: [
        listen,
        { kind: 'say', text: 'what are your opening hours', voice: 'kal16' },
        { kind: 'interrupt', afterMs: 900, text: 'where are you located', voice: 'kal16' },
        listen,
        { kind: 'say', text: 'thank you goodbye', voice: 'kal16' },
        listen,
        { kind: 'waitForHangUp', timeoutMs: 15_000 },
      ],
    });
    const dan = fleet.azure.placeCall({
      ringUrl: fleet.ringUrl,
      script: [
        listen,
        { kind: 'say', text: 'when are you open', voice: 'kal16' },
        listen,
        { kind: 'say', text: 'please let me speak to a person', voice: 'kal16' },
        listen,
        { kind: 'waitForHangUp', timeoutMs: 15_000 },
      ],
    });
    const [adaRecord, danRecord] = await Promise.all([ada.done, dan.done]);
    await Promise.all([ada, dan].map((call) => untilArchived(fleet, call.callConnectionId ?? '')));

    const adaTurns = await archivedTurns(fleet, adaRecord.callConnectionId ?? '');
    assert.deepEqual(
      adaTurns.map(({ role, text }) => (role === 'caller' ? text : text.split('.')[0])),
      [
        'Welcome to the river hotel',
        'what are your opening hours',
        'We are open from nine to five, Monday to Saturday',
        'where are you located',
        'We are at twelve River Street, next to the station',
        'thank you goodbye',
        'Thank you for calling',
      ],
    );
    assert.equal(adaRecord.stopAudios, 1, 'one barge-in, one StopAudio');
    assert.equal(adaRecord.framesAfterStop, 0);
    assert.equal(adaRecord.disconnectedBy, 'worker');

    const danTurns = await archivedTurns(fleet, danRecord.callConnectionId ?? '');
    assert.deepEqual(
      danTurns.filter(({ role }) => role === 'caller').map(({ text }) => text),
      ['when are you open', 'please let me speak to a person'],
    );
    assert.match(danRecord.transferredTo ?? '', /15550123/);
    assert.equal((await summaryOf(fleet, danRecord.callConnectionId ?? ''))?.reason, 'transferred');
  } finally {
    await fleet.stop();
  }
});
