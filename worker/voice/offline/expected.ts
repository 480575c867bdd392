import type { Dialogue } from '../dialogue/schema.ts';
import { wordsOf } from '../dialogue/words.ts';

/** What the dialogue expects to hear, as the recogniser writes it. */
export function expectedPhrases(dialogue: Dialogue): string[] {
  const phrases = Object.values(dialogue.intents).flatMap(({ phrases: own }) => own);
  const choices = Object.values(dialogue.slots).flatMap((slot) =>
    slot.kind === 'choice' ? Object.values(slot.values).flat() : [],
  );
  return [...phrases, ...choices, ...digitSequences()]
    .map((phrase) => wordsOf(phrase).join(' '))
    .filter((phrase) => phrase !== '');
}

const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** Every digit after every digit, so that numbers of any length are as likely as the phrases. */
function digitSequences(): string[] {
  const sequences: string[] = [];
  for (let first = 0; first < 10; first++) {
    for (const step of [1, 3, 7]) {
      sequences.push(Array.from({ length: 6 }, (_, index) => DIGITS[(first + index * step) % 10]).join(' '));
    }
    sequences.push(Array.from({ length: 4 }, (_, index) => DIGITS[(first + (index % 2)) % 10]).join(' '));
    sequences.push(`${DIGITS[first]} ${DIGITS[first]}`);
  }
  return sequences;
}
