import { z } from 'zod';

const text = z.string().trim().min(1, 'must not be empty').max(600, 'must be at most 600 characters');
/** One text or several, of which the next is taken at each use. */
const variants = z.union([text.transform((one) => [one]), z.array(text).min(1).max(10)], {
  error: 'must be a text or a list of up to ten texts',
});
const phrases = z.array(text).min(1, 'needs at least one phrase').max(100);
const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9]{0,39}$/, 'must be a name of letters and figures, such as openingHours')
  // Names are looked up in plain objects, which have such properties by themselves.
  .refine((value) => !(value in Object.prototype), 'must be another name: this one is taken by JavaScript');
const limit = (fallback: number) => z.int().min(1).max(10).default(fallback);
const seconds = (fallback: number) => z.number().min(1).max(120).default(fallback);

const action = z.union(
  [
    z.literal('hangUp').transform(() => ({ kind: 'hangUp' as const })),
    z.strictObject({ transfer: text }).transform(({ transfer }) => ({ kind: 'transfer' as const, target: transfer })),
  ],
  {
    error: 'must be `hangUp` or `transfer: <target>`',
  },
);
/** What is said, and done, when patience is at its end. */
const last = z.strictObject({ say: variants, action: action.optional() });

/** A caller gives a slot by voice; digits and numbers also by keys. */
const asking = { ask: variants, askAgain: variants.optional(), limit: limit(3), keep: z.boolean().default(false) };
const slot = z.discriminatedUnion(
  'kind',
  [
    /** A string of figures, spoken one by one or keyed in: read back one by one. */
    z.strictObject({
      kind: z.literal('digits'),
      minLength: z.int().min(1).max(20),
      maxLength: z.int().min(1).max(20),
      ...asking,
    }),
    /** A quantity. */
    z.strictObject({
      kind: z.literal('number'),
      min: z.int().min(0).max(999).default(0),
      max: z.int().min(0).max(999).default(999),
      ...asking,
    }),
    /** One of some values, each with the words that mean it. */
    z.strictObject({ kind: z.literal('choice'), values: z.record(text, z.array(text).min(1).max(20)), ...asking }),
  ],
  { error: 'kind must be digits, number or choice' },
);

const intent = z.strictObject({
  phrases,
  /** A key that chooses this intent while nothing else is asked. */
  key: z
    .string()
    .regex(/^[0-9]$/, 'must be one figure in quotes')
    .optional(),
  slots: z.array(name).max(8).default([]),
  say: variants,
  /** The first whose values fit the slots is said instead. */
  cases: z
    .array(z.strictObject({ when: z.record(name, z.coerce.string()), say: variants }))
    .max(100)
    .default([]),
  action: action.optional(),
});

/** The file that a user edits: see examples/dialogue.yaml. */
export const dialogueSchema = z.strictObject({
  version: z.literal(1, { error: 'must be 1' }),
  name: text,
  greeting: variants,
  /** Instead of the greeting, for a caller who has called before. */
  greetingAgain: variants.optional(),
  fallback: z.strictObject({ say: variants, limit: limit(3), last }),
  silence: z.strictObject({ afterSeconds: seconds(8), say: variants, limit: limit(2), last }),
  resume: z.strictObject({ afterSeconds: seconds(4) }).default({ afterSeconds: 4 }),
  slots: z.record(name, slot).default({}),
  intents: z.record(name, intent).refine((all) => Object.keys(all).length > 0, 'needs at least one intent'),
});

export type Dialogue = z.infer<typeof dialogueSchema>;
export type Slot = z.infer<typeof slot>;
export type Intent = z.infer<typeof intent>;
export type DialogueAction = z.infer<typeof action>;
