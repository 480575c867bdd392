import { digitsIn, numberIn } from './numbers.ts';
import type { Slot } from './schema.ts';
import { wordLikeness, wordsOf } from './words.ts';

/** The slot's value in what was said, or undefined. `asked`: the question was just put, so that unclear words may count as figures. */
export function slotFromWords(slot: Slot, words: readonly string[], asked: boolean): string | undefined {
  if (slot.kind === 'digits') {
    const digits = digitsIn(words, { asked });
    return digits.length >= slot.minLength && digits.length <= slot.maxLength ? digits : undefined;
  }
  if (slot.kind === 'number') {
    const value = numberIn(words, { asked });
    return value !== undefined && value >= slot.min && value <= slot.max ? String(value) : undefined;
  }
  return choiceIn(slot.values, words);
}

/** The slot's value in pressed keys, or undefined. Choices are spoken only. */
export function slotFromKeys(slot: Slot, keys: string): string | undefined {
  return slot.kind === 'choice' || !/^\d+$/.test(keys) ? undefined : slotFromWords(slot, [keys], true);
}

/** How a value is spoken: strings of figures one by one, which is how callers check them. */
export function spokenValue(slot: Slot, value: string): string {
  return slot.kind === 'digits' ? [...value].join(' ') : value;
}

/**
 * The value whose phrase is in the words: one said word for word before one that only sounds like it ("thursday" is near "tuesday"), then
 * the longest, so that "tomorrow evening" beats "tomorrow", then the nearest.
 */
function choiceIn(values: Readonly<Record<string, readonly string[]>>, words: readonly string[]): string | undefined {
  let best: { value: string; rank: Rank } | undefined;
  for (const [value, phrases] of Object.entries(values)) {
    for (const phrase of phrases) {
      const rank = rankIn(words, wordsOf(phrase));
      if (rank && (!best || beats(rank, best.rank))) best = { value, rank };
    }
  }
  return best?.value;
}

type Rank = readonly [exact: number, length: number, likeness: number];

function beats(a: Rank, b: Rank): boolean {
  return a[0] !== b[0] ? a[0] > b[0] : a[1] !== b[1] ? a[1] > b[1] : a[2] > b[2];
}

/** How well the best place of the words fits the phrase; undefined when none does. */
function rankIn(words: readonly string[], wanted: readonly string[]): Rank | undefined {
  let best = 0;
  for (let at = 0; at + wanted.length <= words.length; at++) {
    const likeness = wanted.map((word, i) => wordLikeness(word, words[at + i] ?? ''));
    if (likeness.every((value) => value > 0))
      best = Math.max(best, likeness.reduce((a, b) => a + b, 0) / wanted.length);
  }
  return best === 0 ? undefined : [best === 1 ? 1 : 0, wanted.length, best];
}
