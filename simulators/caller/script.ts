import { z } from 'zod';
import { defineError } from '../../platform/errors.ts';

export const SCRIPT_INVALID = defineError('ERR_SIMULATOR_SCRIPT', {
  status: 400,
  message: 'the caller script is not valid',
  remedy: 'Write the script as docs/simulators.md shows it.',
});

const MAX_STEPS = 10_000;
const MAX_MS = 3_600_000;
const ms = z.number().int().min(0).max(MAX_MS);

/** What a caller says: exactly one of `text` (spoken by flite), `wav` (16 kHz mono file) and `pcm` (16 kHz). With `pcm` and `wav`, `as` is its wording. */
const speech = {
  text: z.string().min(1).max(2_000).optional(),
  wav: z.string().min(1).optional(),
  pcm: z.custom<Int16Array>((value) => value instanceof Int16Array).optional(),
  as: z.string().max(2_000).optional(),
  voice: z.enum(['slt', 'rms', 'awb', 'kal16']).optional(),
};
const oneSource = (step: { text?: unknown; wav?: unknown; pcm?: unknown }) =>
  [step.text, step.wav, step.pcm].filter((source) => source !== undefined).length === 1;
const ONE_SOURCE = { error: 'needs exactly one of text, wav and pcm' };

export const stepSchema = z.discriminatedUnion('kind', [
  /** Speaks; the next step begins when the last sample has been sent. */
  z.strictObject({ kind: z.literal('say'), ...speech }).refine(oneSource, ONE_SOURCE),
  /** Waits for an answer, lets `afterMs` of it pass and speaks over it. */
  z
    .strictObject({ kind: z.literal('interrupt'), afterMs: ms, timeoutMs: ms.optional(), ...speech })
    .refine(oneSource, ONE_SOURCE),
  /** Presses keys, one every `toneMs` (default 100). */
  z.strictObject({
    kind: z.literal('dtmf'),
    tones: z.string().regex(/^[0-9*#A-D]{1,64}$/, 'only 0-9, *, # and A-D'),
    toneMs: ms.optional(),
  }),
  /** Says nothing for so long. */
  z.strictObject({ kind: z.literal('pause'), ms }),
  /**
   * Waits until an answer has begun and its playback has been silent for `silenceMs` (default 300). When the media socket was lost since
   * the caller spoke and no answer comes within `repeatAfterMs` (default 3,000) of its return, the caller says the same again, `repeats`
   * times at the most (default 3). Gives up after `timeoutMs` (default 30,000), and the script goes on.
   */
  z.strictObject({
    kind: z.literal('waitForAnswer'),
    timeoutMs: ms.optional(),
    silenceMs: ms.optional(),
    repeatAfterMs: ms.optional(),
    repeats: z.number().int().min(0).max(10).optional(),
  }),
  /** Ends the call from the caller's side. */
  z.strictObject({ kind: z.literal('hangUp') }),
  /** Stays on the line until the other side hangs up; gives up after `timeoutMs` (default 30,000), and the script goes on. */
  z.strictObject({ kind: z.literal('waitForHangUp'), timeoutMs: ms.optional() }),
]);

export type ScriptStep = z.infer<typeof stepSchema>;
export type SpeechStep = Extract<ScriptStep, { kind: 'say' | 'interrupt' }>;
/** Once it has ended the caller stays on the line until one side hangs up. */
export type CallerScript = readonly ScriptStep[];

export function parseScript(value: unknown): ScriptStep[] {
  const parsed = z.array(stepSchema).max(MAX_STEPS).safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, 5).map((issue) => `script[${issue.path.join('.')}]: ${issue.message}`);
  throw SCRIPT_INVALID.with(faults.join('; '), parsed.error);
}
