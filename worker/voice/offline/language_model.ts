/** Mass taken from each seen n-gram and given to the shorter ones (absolute discounting). */
const DISCOUNT = 0.5;
const NEVER = -99;

type Counts = Map<string, number>;

/**
 * A trigram model of some phrases in the ARPA format, with absolute discounting and back-off (Jurafsky and Martin, Speech and Language
 * Processing, ch. 3). Mixed with the general English model it makes the words of a dialogue likelier and leaves all others possible.
 */
export function arpaModel(phrases: readonly string[]): string {
  const [unigrams, bigrams, trigrams] = count(phrases);
  const model = new TrigramModel(unigrams, bigrams, trigrams);
  const lines = [
    '\\data\\',
    `ngram 1=${unigrams.size}`,
    `ngram 2=${bigrams.size}`,
    `ngram 3=${trigrams.size}`,
    '',
    '\\1-grams:',
    ...[...unigrams.keys()].map((word) => `${log(model.unigram(word))} ${word} ${log(model.backOff1(word))}`),
    '',
    '\\2-grams:',
    ...[...bigrams.keys()].map((pair) => `${log(model.bigram(...split(pair)))} ${pair} ${log(model.backOff2(pair))}`),
    '',
    '\\3-grams:',
    ...[...trigrams.keys()].map((triple) => `${log(model.trigram(...split(triple)))} ${triple}`),
    '',
    '\\end\\',
  ];
  return `${lines.join('\n')}\n`;
}

function count(phrases: readonly string[]): [Counts, Counts, Counts] {
  const counts: [Counts, Counts, Counts] = [new Map(), new Map(), new Map()];
  for (const phrase of phrases) {
    const words = ['<s>', ...phrase.split(' '), '</s>'];
    for (let end = 1; end <= words.length; end++) {
      for (let order = 1; order <= Math.min(3, end); order++) {
        const counter = counts[order - 1] as Counts;
        const gram = words.slice(end - order, end).join(' ');
        counter.set(gram, (counter.get(gram) ?? 0) + 1);
      }
    }
  }
  return counts;
}

interface Context {
  total: number;
  next: string[];
}

class TrigramModel {
  readonly #counts: [Counts, Counts, Counts];
  readonly #after1: Map<string, Context>;
  readonly #after2: Map<string, Context>;
  readonly #total: number;

  constructor(unigrams: Counts, bigrams: Counts, trigrams: Counts) {
    this.#counts = [unigrams, bigrams, trigrams];
    this.#after1 = contexts(bigrams);
    this.#after2 = contexts(trigrams);
    this.#total = [...unigrams].reduce((sum, [word, n]) => (word === '<s>' ? sum : sum + n), 0);
  }

  unigram(word: string): number {
    return word === '<s>' ? 0 : (this.#counts[0].get(word) ?? 0) / this.#total;
  }

  bigram(history: string, word: string): number {
    const context = this.#after1.get(history);
    return context
      ? discounted(context, this.#counts[1].get(`${history} ${word}`), this.unigram(word))
      : this.unigram(word);
  }

  trigram(history: string, word: string): number {
    const context = this.#after2.get(history);
    const shorter = history.slice(history.indexOf(' ') + 1);
    const lower = this.bigram(shorter, word);
    return context ? discounted(context, this.#counts[2].get(`${history} ${word}`), lower) : lower;
  }

  backOff1(word: string): number {
    const context = this.#after1.get(word);
    return context
      ? backOff(
          context,
          (next) => this.bigram(word, next),
          (next) => this.unigram(next),
        )
      : 1;
  }

  backOff2(pair: string): number {
    const context = this.#after2.get(pair);
    const [, last] = split(pair);
    return context
      ? backOff(
          context,
          (next) => this.trigram(pair, next),
          (next) => this.bigram(last, next),
        )
      : 1;
  }
}

function contexts(grams: Counts): Map<string, Context> {
  const found = new Map<string, Context>();
  for (const [gram, n] of grams) {
    const [history, word] = split(gram);
    const context = found.get(history) ?? { total: 0, next: [] };
    context.total += n;
    context.next.push(word);
    found.set(history, context);
  }
  return found;
}

function discounted(context: Context, seen: number | undefined, lower: number): number {
  return (
    Math.max(0, (seen ?? 0) - DISCOUNT) / context.total + ((DISCOUNT * context.next.length) / context.total) * lower
  );
}

function backOff(context: Context, upper: (word: string) => number, lower: (word: string) => number): number {
  const taken = context.next.reduce((sum, word) => sum + upper(word), 0);
  const covered = context.next.reduce((sum, word) => sum + lower(word), 0);
  return covered >= 1 ? 1e-4 : (1 - taken) / (1 - covered);
}

function split(gram: string): [history: string, word: string] {
  const at = gram.lastIndexOf(' ');
  return [gram.slice(0, at), gram.slice(at + 1)];
}

function log(probability: number): string {
  return (probability <= 0 ? NEVER : Math.log10(probability)).toFixed(4);
}
