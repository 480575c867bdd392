import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialogueEngine } from './engine.ts';
import { parseDialogue } from './load.ts';
import { newDialogueState } from './state.ts';

const dialogue = parseDialogue(`
version: 1
name: rooms
greeting: Hello.
fallback: { say: What?, last: { say: Bye., action: hangUp } }
silence: { say: Still there?, last: { say: Bye., action: hangUp } }
slots:
  people: { kind: number, min: 1, max: 12, ask: For how many people? }
  nights: { kind: number, min: 1, max: 30, ask: For how many nights? }
  room: { kind: digits, minLength: 1, maxLength: 3, ask: Which room? }
  from: { kind: choice, values: &days { Monday: [monday], Tuesday: [tuesday], Thursday: [thursday] }, ask: From which day? }
  until: { kind: choice, values: *days, ask: Until which day? }
intents:
  book: { phrases: [i would like to book a room], slots: [people, nights], say: "{people} people, {nights} nights." }
  stay: { phrases: [i would like to extend my stay], slots: [from, until], say: "From {from} until {until}." }
  clean: { phrases: [please clean my room], slots: [room], say: "Room {room}." }
  person: { phrases: [please let me speak to a person], say: One moment., action: { transfer: "+1" } }
`);

/** What is said last when the caller says these lines. */
function answerTo(...lines: string[]): string {
  const engine = new DialogueEngine(dialogue);
  let step = engine.step(newDialogueState(), { kind: 'start', calledBefore: false });
  for (const text of lines) step = engine.step(step.state, { kind: 'words', text });
  return step.answer?.text ?? '';
}

test('a day that was said word for word is taken before one that only sounds like it', () => {
  assert.equal(answerTo('i would like to extend my stay', 'on thursday', 'on tuesday'), 'From Thursday until Tuesday.');
  assert.equal(answerTo('i would like to extend my stay', 'tuesdays', 'thursday'), 'From Tuesday until Thursday.');
});

test('one number answers one question, not every other that takes a number', () => {
  assert.equal(answerTo('i would like to book a room', 'four people'), 'For how many nights?');
  assert.equal(answerTo('i would like to book a room for four'), 'For how many nights?');
  assert.equal(answerTo('i would like to book a room', 'four people', 'two'), '4 people, 2 nights.');
});

test('one day answers one question', () => {
  assert.equal(answerTo('i would like to extend my stay from thursday'), 'Until which day?');
  assert.equal(answerTo('i would like to extend my stay', 'thursday'), 'Until which day?');
});

test('a clear wish for something else is no number, though "to" may be a two', () => {
  assert.equal(answerTo('i would like to book a room', 'please let me speak to a person'), 'One moment.');
  assert.equal(answerTo('please clean my room', 'please let me speak to a person'), 'One moment.');
  assert.equal(answerTo('i would like to book a room', 'for to'), 'For how many nights?', 'still a two');
});
