import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { awaitsTransferOutcome, type CallFacts, callState, endReason, type Fact, learn, NEW_CALL } from './facts.ts';

const fold = (facts: readonly Fact[], from: CallFacts = NEW_CALL) => facts.reduce(learn, from);

/** What ACS tells by events of one call; sockets are local and keep their order. */
const EVENTS: Fact[] = [
  { kind: 'answerAccepted' },
  { kind: 'connected' },
  { kind: 'transferAccepted' },
  { kind: 'transferFailed' },
  { kind: 'disconnected' },
];

test('events in any order and number of times lead to the same facts', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(EVENTS, { minLength: 1 }),
      fc.array(fc.nat({ max: EVENTS.length - 1 }), { maxLength: 10 }),
      fc.boolean(),
      (events, repeats, transferRequested) => {
        const start = transferRequested ? learn(NEW_CALL, { kind: 'transferRequested' }) : NEW_CALL;
        const sorted = EVENTS.filter((event) => events.includes(event));
        const once = fold(sorted, start);
        const noisy = [...events];
        for (const index of repeats) {
          const again = events[index % events.length];
          if (again) noisy.splice(index % (noisy.length + 1), 0, again);
        }
        assert.deepEqual(fold(noisy, start), once);
        assert.equal(callState(fold(noisy, start)), callState(once));
        assert.equal(endReason(fold(noisy, start)), endReason(once));
      },
    ),
  );
});

test('the walk of an ordinary call', () => {
  const walk: [Fact, string][] = [
    [{ kind: 'answerRequested' }, 'answering'],
    [{ kind: 'answerAccepted' }, 'answered'],
    [{ kind: 'connected' }, 'connected'],
    [{ kind: 'mediaOpened' }, 'active'],
    [{ kind: 'mediaClosed' }, 'reconnecting'],
    [{ kind: 'mediaOpened' }, 'active'],
    [{ kind: 'endRequested', reason: 'dialogueHangUp' }, 'ending'],
    [{ kind: 'disconnected' }, 'ended'],
  ];
  let facts = NEW_CALL;
  for (const [fact, state] of walk) {
    facts = learn(facts, fact);
    assert.equal(callState(facts), state);
  }
  assert.equal(endReason(facts), 'dialogueHangUp');
});

test('media before CallConnected, and even before the answer came back, is a live call', () => {
  const facts = fold([{ kind: 'answerRequested' }, { kind: 'mediaOpened' }]);
  assert.equal(callState(facts), 'active');
  assert.equal(callState(learn(facts, { kind: 'answerRefused' })), 'active');
});

test('CallDisconnected with a transfer under way waits for its outcome', () => {
  const facts = fold([{ kind: 'answerAccepted' }, { kind: 'transferRequested' }, { kind: 'disconnected' }]);
  assert.equal(awaitsTransferOutcome(facts), true);
  assert.equal(endReason(learn(facts, { kind: 'transferAccepted' })), 'transferred');
  assert.equal(endReason(learn(facts, { kind: 'transferFailed' })), 'callerHangUp');
});

test('a refused answer ends a call that shows no sign of life', () => {
  const facts = fold([{ kind: 'answerRequested' }, { kind: 'answerRefused' }]);
  assert.equal(callState(facts), 'ended');
  assert.equal(endReason(facts), 'answerFailed');
});
