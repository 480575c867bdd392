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

/** The value with the longest of its phrases in the words, so that "tomorrow evening" beats "tomorrow". */
function choiceIn(values: Readonly<Record<string, readonly string[]>>, words: readonly string[]): string | undefined {
  let best: { value: string; length: number } | undefined;
  for (const [value, phrases] of Object.entries(values)) {
    for (const phrase of phrases) {
      const wanted = wordsOf(phrase);
      if (wanted.length > (best?.length ?? 0) && contains(words, wanted)) best = { value, length: wanted.length };
    }
  }
  return best?.value;
}

function contains(words: readonly string[], wanted: readonly string[]): boolean {
  return words.some((_, at) => wanted.every((word, i) => wordLikeness(word, words[at + i] ?? '') > 0));
}
