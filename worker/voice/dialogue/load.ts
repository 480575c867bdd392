import { readFile } from 'node:fs/promises';
import { type Document, parseDocument } from 'yaml';
import { defineError } from '../../../platform/errors.ts';
import { type Dialogue, dialogueSchema } from './schema.ts';
import { wordsOf } from './words.ts';

export const DIALOGUE_INVALID = defineError('ERR_DIALOGUE_INVALID', {
  status: 400,
  message: 'the dialogue file is not valid',
  remedy: 'Mend the named places of the file; examples/dialogue.yaml shows every field.',
});

const MAX_FILE_BYTES = 256 * 1024;
const MAX_FAULTS = 20;

/** Reads and checks a dialogue file; throws ERR_DIALOGUE_INVALID with every fault and its path. */
export async function loadDialogue(file: string): Promise<Dialogue> {
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch (error) {
    throw DIALOGUE_INVALID.with(`${file} cannot be read`, error);
  }
  return parseDialogue(source);
}

export function parseDialogue(source: string): Dialogue {
  if (Buffer.byteLength(source) > MAX_FILE_BYTES)
    throw DIALOGUE_INVALID.with(`larger than ${MAX_FILE_BYTES / 1024} KiB`);
  const document = parseDocument(source);
  const broken = document.errors[0];
  if (broken) throw DIALOGUE_INVALID.with(broken.message.split('\n')[0]);
  const parsed = dialogueSchema.safeParse(contentOf(document));
  if (!parsed.success) {
    fail(parsed.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`));
  }
  const faults = [...unfilled(parsed.data), ...slotFaults(parsed.data), ...intentFaults(parsed.data)];
  if (faults.length > 0) fail(faults);
  return parsed.data;
}

/** Aliases are resolved only here: of nothing, or of too much, they throw. */
function contentOf(document: Document.Parsed): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw DIALOGUE_INVALID.with(error instanceof Error ? error.message : String(error), error);
  }
}

function fail(faults: string[]): never {
  const shown = faults.slice(0, MAX_FAULTS);
  if (faults.length > shown.length) shown.push(`and ${faults.length - shown.length} more`);
  throw DIALOGUE_INVALID.with(shown.join('; '));
}

function pathOf(path: readonly PropertyKey[]): string {
  return (
    path
      .map((part) => (typeof part === 'number' ? `[${part}]` : String(part)))
      .join('.')
      .replaceAll('.[', '[') || 'the file'
  );
}

/** Only an intent's `say` is filled: elsewhere a place would be read out. */
function unfilled({ greeting, greetingAgain = [], fallback, silence, slots }: Dialogue): string[] {
  const texts: [at: string, texts: readonly string[]][] = [
    ['greeting', greeting],
    ['greetingAgain', greetingAgain],
    ['fallback.say', fallback.say],
    ['fallback.last.say', fallback.last.say],
    ['silence.say', silence.say],
    ['silence.last.say', silence.last.say],
    ...Object.entries(slots).map(([name, { ask }]): [string, string[]] => [`slots.${name}.ask`, ask]),
    ...Object.entries(slots).map(([name, { askAgain }]): [string, string[]] => [
      `slots.${name}.askAgain`,
      askAgain ?? [],
    ]),
  ];
  return texts.flatMap(([at, all]) =>
    all.flatMap(placeholders).map((used) => `${at}: {${used}} is not filled here; take it out, or say it in an intent`),
  );
}

function slotFaults(dialogue: Dialogue): string[] {
  return Object.entries(dialogue.slots).flatMap(([name, slot]) => {
    const at = `slots.${name}`;
    const faults: string[] = [];
    if (slot.kind === 'digits' && slot.minLength > slot.maxLength)
      faults.push(`${at}.minLength: must not exceed maxLength`);
    if (slot.kind === 'number' && slot.min > slot.max) faults.push(`${at}.min: must not exceed max`);
    if (slot.kind === 'choice') faults.push(...wordless(`${at}.values`, Object.values(slot.values).flat()));
    return faults;
  });
}

function intentFaults(dialogue: Dialogue): string[] {
  const faults: string[] = [];
  const keys = new Map<string, string>();
  for (const [name, intent] of Object.entries(dialogue.intents)) {
    const at = `intents.${name}`;
    const known = new Set(intent.slots);
    for (const slot of intent.slots) {
      if (!Object.hasOwn(dialogue.slots, slot))
        faults.push(`${at}.slots: there is no slot "${slot}"; define it under slots or mend the name`);
    }
    faults.push(...wordless(`${at}.phrases`, intent.phrases));
    for (const text of [...intent.say, ...intent.cases.flatMap((one) => one.say)]) {
      for (const used of placeholders(text)) {
        if (!known.has(used))
          faults.push(`${at}.say: {${used}} is not one of the intent's slots; add it to slots or take it out`);
      }
    }
    intent.cases.forEach((one, i) => {
      for (const [slot, value] of Object.entries(one.when)) {
        if (!known.has(slot)) faults.push(`${at}.cases[${i}].when: "${slot}" is not one of the intent's slots`);
        const of = dialogue.slots[slot];
        if (of?.kind === 'choice' && !Object.hasOwn(of.values, value))
          faults.push(`${at}.cases[${i}].when.${slot}: "${value}" is not one of the slot's values`);
      }
    });
    const other = intent.key === undefined ? undefined : keys.get(intent.key);
    if (other) faults.push(`${at}.key: ${intent.key} is taken by ${other}; choose another figure`);
    if (intent.key !== undefined) keys.set(intent.key, at);
  }
  return faults;
}

function wordless(at: string, texts: readonly string[]): string[] {
  return texts.filter((text) => wordsOf(text).length === 0).map((text) => `${at}: "${text}" has no words`);
}

export function placeholders(text: string): string[] {
  return [...text.matchAll(/\{([A-Za-z0-9]+)\}/g)].map((match) => match[1] ?? '');
}
