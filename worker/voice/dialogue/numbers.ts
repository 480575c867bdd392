const UNITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const TEENS = [
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
  'seventeen',
  'eighteen',
  'nineteen',
];
const TENS = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];
/** What a recogniser writes for a digit when nothing told it that digits come. Only taken where a number was asked for. */
const HOMOPHONES: Readonly<Record<string, string>> = {
  oh: 'zero',
  o: 'zero',
  won: 'one',
  to: 'two',
  too: 'two',
  tree: 'three',
  for: 'four',
  fore: 'four',
  ate: 'eight',
};
/** Said between the parts of a number without changing it. */
const FILLERS = new Set(['and', 'uh', 'um']);

export interface NumberOptions {
  /** A number was asked for, so that "to" may be a two. */
  asked: boolean;
}

/** The longest run of spoken or written digits ("four seven double one", "forty two", "4711") as figures; '' when there is none. */
export function digitsIn(words: readonly string[], { asked }: NumberOptions): string {
  let best = '';
  let run = '';
  for (let i = 0; i < words.length; ) {
    const read = readDigits(words, i, asked);
    if (read) {
      run += read.digits;
      i += read.used;
      if (run.length > best.length) best = run;
    } else {
      if (!FILLERS.has(words[i] ?? '')) run = '';
      i++;
    }
  }
  return best;
}

/** The first spoken or written whole number below a thousand, or undefined. */
export function numberIn(words: readonly string[], { asked }: NumberOptions): number | undefined {
  for (let i = 0; i < words.length; i++) {
    const exact = readNumber(words.slice(i));
    if (exact !== undefined) return exact;
  }
  if (!asked) return undefined;
  const replaced = words.map((word) => HOMOPHONES[word] ?? word);
  // "for two" was taken above; what is left is an answer such as "for" or "to people": the last homophone is the number.
  for (let i = replaced.length - 1; i >= 0; i--) {
    const value = replaced[i] === words[i] ? undefined : readNumber(replaced.slice(i, i + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}

function readDigits(
  words: readonly string[],
  at: number,
  asked: boolean,
): { digits: string; used: number } | undefined {
  const word = spelled(words[at], asked);
  const next = spelled(words[at + 1], asked);
  if (/^\d+$/.test(word)) return { digits: word, used: 1 };
  const unit = UNITS.indexOf(word);
  if (unit >= 0) return { digits: String(unit), used: 1 };
  const repeat = word === 'double' ? 2 : word === 'triple' ? 3 : 0;
  if (repeat > 0 && UNITS.includes(next)) return { digits: String(UNITS.indexOf(next)).repeat(repeat), used: 2 };
  const teen = TEENS.indexOf(word);
  if (teen >= 0) return { digits: String(10 + teen), used: 1 };
  const tens = TENS.indexOf(word);
  if (tens < 0) return undefined;
  const after = UNITS.indexOf(next);
  return after > 0 ? { digits: `${tens + 2}${after}`, used: 2 } : { digits: `${tens + 2}0`, used: 1 };
}

function spelled(word: string | undefined, asked: boolean): string {
  if (word === undefined) return '';
  return asked ? (HOMOPHONES[word] ?? word) : word;
}

/** The number that the words begin with. */
function readNumber(words: readonly string[]): number | undefined {
  const [first = '', ...rest] = words;
  if (/^\d{1,3}$/.test(first)) return Number(first);
  const below = readBelowHundred(first, rest[0] ?? '');
  if (below === undefined) return undefined;
  if (below.value > 9 || rest[0] !== 'hundred') return below.value;
  const tail = rest.slice(rest[1] === 'and' ? 2 : 1);
  return below.value * 100 + (readBelowHundred(tail[0] ?? '', tail[1] ?? '')?.value ?? 0);
}

function readBelowHundred(word: string, next: string): { value: number } | undefined {
  const unit = UNITS.indexOf(word);
  if (unit >= 0) return { value: unit };
  const teen = TEENS.indexOf(word);
  if (teen >= 0) return { value: 10 + teen };
  const tens = TENS.indexOf(word);
  if (tens < 0) return undefined;
  return { value: (tens + 2) * 10 + Math.max(0, UNITS.indexOf(next)) };
}
