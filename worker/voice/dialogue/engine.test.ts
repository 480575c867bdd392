import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { DialogueEngine, type DialogueInput } from './engine.ts';
import { loadDialogue } from './load.ts';
import { type DialogueState, dialogueStateSchema, newDialogueState } from './state.ts';

const file = fileURLToPath(new URL('../../../examples/dialogue.yaml', import.meta.url));
let engine: DialogueEngine;
before(async () => {
  engine = new DialogueEngine(await loadDialogue(file));
});

/** Plays inputs from a fresh call; gives the last step. */
function play(...inputs: DialogueInput[]) {
  let state: DialogueState = newDialogueState();
  let last = engine.step(state, { kind: 'start', calledBefore: false });
  for (const input of inputs) {
    state = last.state;
    last = engine.step(state, input);
  }
  return last;
}

const words = (text: string): DialogueInput => ({ kind: 'words', text });
const keys = (pressed: string): DialogueInput => ({ kind: 'keys', keys: pressed });

test('greets, answers a wish, and says goodbye with a hang-up', () => {
  assert.match(play().answer?.text ?? '', /^Welcome/);
  assert.match(play(words('what are your opening hours')).answer?.text ?? '', /nine to five/);
  assert.deepEqual(play(words('thank you goodbye')).answer?.action, { kind: 'hangUp' });
  assert.deepEqual(play(words('please let me speak to a person')).answer?.action, {
    kind: 'transfer',
    target: '+15550123',
  });
});

test('a caller who has called before is greeted as such, where the dialogue has words for it', () => {
  const again = { kind: 'start', calledBefore: true } as const;
  assert.match(engine.step(newDialogueState(), again).answer?.text ?? '', /^Welcome back/);
  const { greetingAgain: _none, ...without } = engine.dialogue;
  const plain = new DialogueEngine(without);
  assert.match(plain.step(newDialogueState(), again).answer?.text ?? '', /^Welcome to/);
});

test('asks for what is missing, takes it by words or keys, and does not ask for what was said at once', () => {
  assert.match(play(words('i would like to book a table')).answer?.text ?? '', /how many people/i);
  assert.match(play(words('i would like to book a table'), words('four people')).answer?.text ?? '', /which day/i);
  assert.match(
    play(words('i would like to book a table'), words('four people'), words('on friday')).answer?.text ?? '',
    /on Friday/,
  );
  assert.match(play(words('a table for two on saturday')).answer?.text ?? '', /on Saturday/);
  assert.match(
    play(words('what is my account balance'), keys('4711')).answer?.text ?? '',
    /4 7 1 1|four seven one one/,
  );
  assert.match(
    play(words('what is my account balance'), words('four seven one one')).answer?.text ?? '',
    /4 7 1 1|four seven one one/,
  );
});

test('what is not understood is asked again, a bounded number of times, and then a person takes over', () => {
  const nonsense = words('purple elephants dance');
  assert.equal(play(nonsense).outcome, 'fallback');
  assert.equal(play(nonsense, nonsense).outcome, 'fallback');
  const last = play(nonsense, nonsense, nonsense);
  assert.equal(last.outcome, 'gaveUp');
  assert.equal(last.answer?.action?.kind, 'transfer');
});

test('silence is asked about a bounded number of times, and then the call ends', () => {
  const silence: DialogueInput = { kind: 'silence' };
  assert.equal(play(silence).outcome, 'silence');
  assert.deepEqual(play(silence, silence, silence).answer?.action, { kind: 'hangUp' });
});

test('what was cut off by a takeover or by the caller is said again after a silence', () => {
  const cut = play(words('what are your opening hours'), { kind: 'interrupted', heardMs: 400 }, { kind: 'silence' });
  assert.equal(cut.outcome, 'repeated');
  assert.match(cut.answer?.text ?? '', /nine to five/);
  const moved = play(words('what are your opening hours'), { kind: 'resumed' });
  assert.equal(moved.answer, undefined, 'nobody is greeted a second time');
});

const input = fc.oneof(
  fc.constantFrom<DialogueInput>(
    words('i would like to book a table'),
    words('four people'),
    words('on friday'),
    words('what is my account balance'),
    keys('4711'),
    keys('1'),
    { kind: 'silence' },
    { kind: 'resumed' },
    { kind: 'unheard' },
    { kind: 'interrupted', heardMs: 200 },
  ),
  fc.string({ maxLength: 40 }).map(words),
  fc.stringMatching(/^[0-9*]{1,8}$/).map(keys),
);

test('any conversation keeps a state that survives JSON, stays bounded, and is decided by its inputs alone', () => {
  fc.assert(
    fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
      let state = newDialogueState();
      let again = newDialogueState();
      for (const one of inputs) {
        const step = engine.step(state, one);
        const repeated = engine.step(again, one);
        assert.deepEqual(repeated.answer, step.answer);
        state = step.state;
        // The other one crosses a takeover at every step.
        again = dialogueStateSchema.parse(JSON.parse(JSON.stringify(repeated.state))) as DialogueState;
        assert.ok(state.misses <= 10 && state.tries <= 10 && state.silences <= inputs.length);
        assert.ok(JSON.stringify(state).length < 8_000);
      }
    }),
  );
});
