import { z } from 'zod';

const action = z.union([
  z.looseObject({ kind: z.literal('hangUp') }),
  z.looseObject({ kind: z.literal('transfer'), target: z.string() }),
]);
const count = z.int().min(0).default(0);

/** Where a conversation stands: plain JSON, kept with each checkpoint. Unknown fields of a newer version are kept and written back. */
export const dialogueStateSchema = z.looseObject({
  v: z.literal(1),
  turns: count,
  /** The intent whose slots are being filled. */
  intent: z.string().nullable().default(null),
  /** The slot that was asked for last. */
  asked: z.string().nullable().default(null),
  slots: z.record(z.string(), z.string()).default({}),
  /** In a row: not understood, asked in vain, silent. */
  misses: count,
  tries: count,
  silences: count,
  /** How often each place has spoken, for its variants. */
  used: z.record(z.string(), z.number()).default({}),
  /** The last thing that was said; `cut`: the caller has not heard it to its end. */
  last: z
    .looseObject({ text: z.string(), action: action.optional(), cut: z.boolean(), heardMs: z.number().optional() })
    .nullable()
    .default(null),
});

export type DialogueState = z.infer<typeof dialogueStateSchema>;

export function newDialogueState(): DialogueState {
  return {
    v: 1,
    turns: 0,
    intent: null,
    asked: null,
    slots: {},
    misses: 0,
    tries: 0,
    silences: 0,
    used: {},
    last: null,
  };
}
