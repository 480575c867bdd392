import { Matcher, SURE_THRESHOLD } from './matcher.ts';
import type { Dialogue, DialogueAction, Intent, Slot } from './schema.ts';
import { slotFromKeys, slotFromWords, spokenValue } from './slots.ts';
import type { DialogueState } from './state.ts';
import { wordsOf } from './words.ts';

export type DialogueInput =
  /** The call begins: greet. `calledBefore` when the caller's profile is known by now. */
  | { kind: 'start'; calledBefore: boolean }
  /** The call goes on at another worker: nothing is said unless the caller stays silent. */
  | { kind: 'resumed' }
  | { kind: 'words'; text: string }
  | { kind: 'keys'; keys: string }
  /** Something was said but could not be recognised for a reason of ours. */
  | { kind: 'unheard' }
  /** Nothing was heard for as long as `silenceLimitMs` allows. */
  | { kind: 'silence' }
  /** The caller spoke over what was said. */
  | { kind: 'interrupted'; heardMs: number };

/** Which rule answered; a label of metrics, so a closed list. */
export type DialogueOutcome =
  | 'greeting'
  | 'answered'
  | 'asked'
  | 'fallback'
  | 'gaveUp'
  | 'silence'
  | 'repeated'
  | 'none';

export interface DialogueStep {
  state: DialogueState;
  answer?: { text: string; action?: DialogueAction };
  outcome: DialogueOutcome;
}

interface Compiled {
  dialogue: Dialogue;
  matcher: Matcher;
}

/** A dialogue as a pure function from state and input to state and answer. */
export class DialogueEngine {
  readonly dialogue: Dialogue;
  readonly #compiled: Compiled;

  constructor(dialogue: Dialogue) {
    this.dialogue = dialogue;
    this.#compiled = { dialogue, matcher: new Matcher(dialogue.intents) };
  }

  step(state: DialogueState, input: DialogueInput): DialogueStep {
    return step(this.#compiled, state, input);
  }

  /** Whether these keys are all there is to wait for. */
  keysComplete(state: DialogueState, keys: string): boolean {
    const slot = state.asked === null ? undefined : this.dialogue.slots[state.asked];
    if (slot) return slot.kind === 'digits' && keys.length >= slot.maxLength;
    return intentOfKey(this.dialogue, keys) !== undefined;
  }

  /** Milliseconds without a word from either side before `silence` is due. */
  silenceLimitMs(state: DialogueState): number {
    const { silence, resume } = this.dialogue;
    return (state.last?.cut ? resume.afterSeconds : silence.afterSeconds) * 1000;
  }
}

function step(compiled: Compiled, state: DialogueState, input: DialogueInput): DialogueStep {
  const { dialogue } = compiled;
  switch (input.kind) {
    case 'start':
      return greet(dialogue, state, input.calledBefore);
    case 'resumed':
      return {
        state: { ...state, last: cut(state.last ?? { text: dialogue.greeting[0] ?? '', cut: true }) },
        outcome: 'none',
      };
    case 'interrupted':
      return {
        state: { ...state, last: state.last && { ...cut(state.last), heardMs: input.heardMs } },
        outcome: 'none',
      };
    case 'silence':
      return silent(dialogue, state);
    case 'unheard':
      return notUnderstood(dialogue, heard(state));
    case 'words':
      return words(compiled, heard(state), input.text);
    case 'keys':
      return keys(dialogue, heard(state), input.keys);
  }
}

function greet(dialogue: Dialogue, state: DialogueState, calledBefore: boolean): DialogueStep {
  const { greeting, greetingAgain } = dialogue;
  if (calledBefore && greetingAgain) return say(state, 'greetingAgain', greetingAgain, 'greeting');
  return say(state, 'greeting', greeting, 'greeting');
}

function cut<T extends { cut: boolean }>(last: T): T {
  return { ...last, cut: true };
}

function heard(state: DialogueState): DialogueState {
  return { ...state, turns: state.turns + 1, silences: 0, last: state.last && { ...state.last, cut: false } };
}

/** The order of the rules: the open question, a clear wish for something else, any wish, and then the fallback. */
function words({ dialogue, matcher }: Compiled, state: DialogueState, text: string): DialogueStep {
  const said = wordsOf(text);
  const match = matcher.best(said);
  const slot = state.asked === null ? undefined : dialogue.slots[state.asked];
  if (slot && state.asked !== null && state.intent !== null) {
    const another = match && match.score >= SURE_THRESHOLD && match.intent !== state.intent;
    // What only may be a figure ("to" for two) does not stand against a clear wish.
    const value = slotFromWords(slot, said, !another);
    if (value !== undefined)
      return proceed(dialogue, take(dialogue, withSlot(state, state.asked, value), said, state.asked));
    if (!another) return askAgain(dialogue, state);
  }
  if (!match) return notUnderstood(dialogue, state);
  return proceed(dialogue, take(dialogue, begin(dialogue, state, match.intent), said));
}

function keys(dialogue: Dialogue, state: DialogueState, pressed: string): DialogueStep {
  const slot = state.asked === null ? undefined : dialogue.slots[state.asked];
  if (slot && state.asked !== null) {
    const value = slotFromKeys(slot, pressed);
    return value === undefined ? askAgain(dialogue, state) : proceed(dialogue, withSlot(state, state.asked, value));
  }
  const intent = intentOfKey(dialogue, pressed);
  return intent === undefined ? notUnderstood(dialogue, state) : proceed(dialogue, begin(dialogue, state, intent));
}

function intentOfKey(dialogue: Dialogue, pressed: string): string | undefined {
  return Object.entries(dialogue.intents).find(([, intent]) => intent.key === pressed)?.[0];
}

/** A wish begins: what was asked for another is forgotten, save slots that are kept for the call. */
function begin(dialogue: Dialogue, state: DialogueState, intent: string): DialogueState {
  return { ...state, intent, asked: null, tries: 0, misses: 0, slots: kept(dialogue, state.slots) };
}

function kept(dialogue: Dialogue, slots: DialogueState['slots']): DialogueState['slots'] {
  return Object.fromEntries(Object.entries(slots).filter(([name]) => dialogue.slots[name]?.keep));
}

function withSlot(state: DialogueState, name: string, value: string): DialogueState {
  return { ...state, asked: null, tries: 0, misses: 0, slots: { ...state.slots, [name]: value } };
}

/**
 * Fills the intent's other slots from the same words: "a table for four on friday" needs no question. `answered` is the slot that was
 * asked for and has its value from them: what was said once fills one slot.
 */
function take(dialogue: Dialogue, state: DialogueState, said: readonly string[], answered?: string): DialogueState {
  const slots = { ...state.slots };
  const spent = new Set<string>();
  const meaning = (slot: Slot, value: string) => (slot.kind === 'choice' ? value : 'figures');
  const first = answered === undefined ? undefined : dialogue.slots[answered];
  if (first && answered !== undefined) spent.add(meaning(first, slots[answered] ?? ''));
  for (const name of (state.intent === null ? undefined : dialogue.intents[state.intent])?.slots ?? []) {
    const slot = dialogue.slots[name];
    const value = slot && slots[name] === undefined ? slotFromWords(slot, said, false) : undefined;
    if (!slot || value === undefined || spent.has(meaning(slot, value))) continue;
    slots[name] = value;
    spent.add(meaning(slot, value));
  }
  return { ...state, slots };
}

/** Asks for the next missing slot, or answers. */
function proceed(dialogue: Dialogue, state: DialogueState): DialogueStep {
  const name = state.intent;
  const intent = name === null ? undefined : dialogue.intents[name];
  if (name === null || !intent) return notUnderstood(dialogue, state);
  const missing = intent.slots.find((slot) => state.slots[slot] === undefined);
  const slot = missing === undefined ? undefined : dialogue.slots[missing];
  if (missing !== undefined && slot) return say({ ...state, asked: missing }, `ask.${missing}`, slot.ask, 'asked');
  const chosen = caseOf(intent, state.slots);
  const filled = chosen.say.map((text) => fill(dialogue, text, state.slots));
  const after: DialogueState = {
    ...state,
    intent: null,
    asked: null,
    tries: 0,
    misses: 0,
    slots: kept(dialogue, state.slots),
  };
  return say(after, `intent.${name}.${chosen.at}`, filled, 'answered', intent.action);
}

function caseOf(intent: Intent, slots: DialogueState['slots']): { at: number; say: string[] } {
  const at = intent.cases.findIndex(({ when }) => Object.entries(when).every(([name, value]) => slots[name] === value));
  return { at, say: intent.cases[at]?.say ?? intent.say };
}

function fill(dialogue: Dialogue, text: string, slots: DialogueState['slots']): string {
  return text.replace(/\{([A-Za-z0-9]+)\}/g, (whole, name: string) => {
    const slot = dialogue.slots[name];
    const value = slots[name];
    return slot && value !== undefined ? spokenValue(slot, value) : whole;
  });
}

function askAgain(dialogue: Dialogue, state: DialogueState): DialogueStep {
  const name = state.asked ?? '';
  const slot = dialogue.slots[name];
  if (!slot) return notUnderstood(dialogue, state);
  const tries = state.tries + 1;
  if (tries >= slot.limit) return giveUp(dialogue, state);
  return say({ ...state, tries }, `again.${name}`, slot.askAgain ?? slot.ask, 'asked');
}

function notUnderstood(dialogue: Dialogue, state: DialogueState): DialogueStep {
  const misses = state.misses + 1;
  if (misses >= dialogue.fallback.limit) return giveUp(dialogue, state);
  return say({ ...state, misses }, 'fallback', dialogue.fallback.say, 'fallback');
}

function giveUp(dialogue: Dialogue, state: DialogueState): DialogueStep {
  const { last } = dialogue.fallback;
  const fresh: DialogueState = {
    ...state,
    misses: 0,
    tries: 0,
    intent: null,
    asked: null,
    slots: kept(dialogue, state.slots),
  };
  return say(fresh, 'fallback.last', last.say, 'gaveUp', last.action);
}

/** What was cut off is said again first; then the caller is asked a bounded number of times. */
function silent(dialogue: Dialogue, state: DialogueState): DialogueStep {
  const { silence } = dialogue;
  const silences = state.silences + 1;
  if (silences > silence.limit)
    return say({ ...state, silences }, 'silence.last', silence.last.say, 'silence', silence.last.action);
  if (state.last?.cut) {
    const { text, action } = state.last;
    const answer = action ? { text, action: action as DialogueAction } : { text };
    return { state: { ...state, silences, last: { ...state.last, cut: false } }, answer, outcome: 'repeated' };
  }
  return say({ ...state, silences }, 'silence', silence.say, 'silence');
}

function say(
  state: DialogueState,
  place: string,
  variants: readonly string[],
  outcome: DialogueOutcome,
  action?: DialogueAction,
): DialogueStep {
  const used = state.used[place] ?? 0;
  const text = variants[used % variants.length] ?? '';
  const answer = action ? { text, action } : { text };
  return {
    state: { ...state, used: { ...state.used, [place]: used + 1 }, last: { ...answer, cut: false } },
    answer,
    outcome,
  };
}
