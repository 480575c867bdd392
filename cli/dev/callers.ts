import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { defineError } from '../../platform/errors.ts';
import type { ScriptStep } from '../../simulators/client.ts';

export const CALLERS_INVALID = defineError('ERR_CALLERS_INVALID', {
  status: 400,
  message: 'the file of simulated callers is not valid',
  remedy: 'Mend the named place; examples/callers.yaml shows every field.',
});

const line = z.union(
  [z.strictObject({ say: z.string().min(1) }), z.strictObject({ keys: z.string().regex(/^[0-9*#]+$/) })],
  {
    error: 'must be `say: words` or `keys: "1234"`',
  },
);
const schema = z.strictObject({
  version: z.literal(1),
  callers: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        voice: z.enum(['slt', 'rms', 'awb', 'kal16']).default('slt'),
        lines: z.array(line).min(1),
      }),
    )
    .min(1),
});

export interface Caller {
  name: string;
  script: ScriptStep[];
}

/** How long a caller waits for an answer; a longer silence is a fault of what is shown, not of the caller. */
const ANSWER_LIMIT_MS = 20_000;
const AFTER_LAST_MS = 10_000;

/** Each caller listens to the greeting, says each line and listens, and then waits for the worker to hang up, or does so. */
export function loadCallers(file: string): Caller[] {
  const parsed = schema.safeParse(parse(readFileSync(file, 'utf8')));
  if (!parsed.success) {
    throw CALLERS_INVALID.with(
      parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
    );
  }
  return parsed.data.callers.map(({ name, voice, lines }) => {
    const listen: ScriptStep = { kind: 'waitForAnswer', timeoutMs: ANSWER_LIMIT_MS };
    const steps = lines.flatMap((one): ScriptStep[] => [
      'say' in one ? { kind: 'say', text: one.say, voice } : { kind: 'dtmf', tones: one.keys },
      listen,
    ]);
    return {
      name,
      script: [listen, ...steps, { kind: 'waitForHangUp', timeoutMs: AFTER_LAST_MS }, { kind: 'hangUp' }],
    };
  });
}
