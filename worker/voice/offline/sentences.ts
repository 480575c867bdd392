const LONGEST = 200;

/** Cuts a text where a speaker pauses, so that the first sentence is heard while the next is made. Joined by spaces they are the text again. */
export function sentencesOf(text: string): string[] {
  const sentences = text.trim().split(/(?<=[.!?])\s+/);
  return sentences
    .flatMap((sentence) => (sentence.length > LONGEST ? clausesOf(sentence) : [sentence]))
    .filter((part) => part !== '');
}

function clausesOf(sentence: string): string[] {
  return sentence.split(/(?<=[,;:])\s+/);
}
