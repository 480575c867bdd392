import type { Dialogue } from './schema.ts';
import { wordLikeness, wordsOf } from './words.ts';

export interface Match {
  intent: string;
  /** From 0 to 1; 1 when a phrase was said word for word. */
  score: number;
}

/** From here on a phrase counts as meant. */
export const MATCH_THRESHOLD = 0.6;
/** From here on it also counts while another question is open. */
export const SURE_THRESHOLD = 0.8;

/** The commonest English function words say little about what is wanted. */
const COMMON = new Set(
  "a an the to of in on at for and or i i'd i'm my me you your we it is are am be do does can could would will like want what please have has with this that hello hi".split(
    ' ',
  ),
);
const COMMON_WEIGHT = 0.15;
/** Share of the score that what was said must have in common with the phrase, beside the phrase with what was said. */
const PRECISION_SHARE = 0.25;
const MAX_WORDS = 60;

/**
 * Finds the intent whose example phrase is nearest to what was said. Words that few intents use weigh more (inverse document frequency);
 * order does not count, and a slip of a letter or two costs part of the word. Pure once built.
 */
export class Matcher {
  readonly #weights = new Map<string, number>();
  readonly #unknownWeight: number;
  readonly #phrases: { intent: string; words: string[]; weight: number }[] = [];

  constructor(intents: Dialogue['intents']) {
    const entries = Object.entries(intents).map(([intent, { phrases }]) => ({ intent, phrases: phrases.map(wordsOf) }));
    const uses = new Map<string, number>();
    for (const { phrases } of entries) {
      for (const word of new Set(phrases.flat())) uses.set(word, (uses.get(word) ?? 0) + 1);
    }
    for (const [word, count] of uses)
      this.#weights.set(word, COMMON.has(word) ? COMMON_WEIGHT : Math.log2(1 + entries.length / count));
    this.#unknownWeight = Math.log2(1 + entries.length) / 4;
    for (const { intent, phrases } of entries) {
      for (const words of phrases)
        this.#phrases.push({ intent, words, weight: sum(words.map((word) => this.#weight(word))) });
    }
  }

  /** The best intent, the first declared among equals; undefined when none reaches the threshold. */
  best(said: readonly string[]): Match | undefined {
    const words = said.slice(0, MAX_WORDS).map((word) => ({ word, likeness: new Map<string, number>() }));
    let best: Match | undefined;
    for (const phrase of this.#phrases) {
      const score = this.#score(words, phrase);
      if (score > (best?.score ?? 0)) best = { intent: phrase.intent, score };
    }
    return best && best.score >= MATCH_THRESHOLD ? best : undefined;
  }

  #score(said: readonly Said[], phrase: { words: string[]; weight: number }): number {
    const left = [...said];
    let found = 0;
    let saidFound = 0;
    for (const word of phrase.words) {
      let at = -1;
      let likeness = 0;
      for (let i = 0; i < left.length && likeness < 1; i++) {
        const here = likenessTo(word, left[i]);
        if (here > likeness) [at, likeness] = [i, here];
      }
      if (at < 0) continue;
      left.splice(at, 1);
      found += likeness * this.#weight(word);
      saidFound += this.#weight(word);
    }
    if (found === 0) return 0;
    const saidWeight = saidFound + sum(left.map(({ word }) => this.#weight(word)));
    return (1 - PRECISION_SHARE) * (found / phrase.weight) + PRECISION_SHARE * (saidFound / saidWeight);
  }

  #weight(word: string): number {
    return this.#weights.get(word) ?? (COMMON.has(word) ? COMMON_WEIGHT : this.#unknownWeight);
  }
}

/** A word of the caller, and how near it is to words of the dialogue: worked out once, since phrases share their words. */
interface Said {
  word: string;
  likeness: Map<string, number>;
}

function likenessTo(word: string, said: Said | undefined): number {
  if (!said) return 0;
  let likeness = said.likeness.get(word);
  if (likeness === undefined) {
    likeness = wordLikeness(word, said.word);
    said.likeness.set(word, likeness);
  }
  return likeness;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
