import { z } from 'zod';
import { defineError } from '../../platform/errors.ts';
import type { CallRequest } from '../acs/call.ts';
import type { Azure } from '../azure.ts';
import { parseScript } from '../caller/script.ts';

export const CONTROL_REQUEST_INVALID = defineError('ERR_SIMULATOR_REQUEST', {
  status: 400,
  message: 'the request to the simulators is not valid',
  remedy: 'Write it as docs/simulators.md describes it.',
});

const ms = z.number().int().min(0).max(3_600_000);
const count = z.number().int().min(0).max(1_000_000);
const redial = z.enum(['never', 'once', 'backOffThenFail']);
const callbacks = z.strictObject({
  delayMs: ms.optional(),
  duplicate: z.boolean().optional(),
  reorder: z.boolean().optional(),
  batch: z.boolean().optional(),
  drop: z.array(z.string().max(64)).max(64).optional(),
});

const callSchema = z.strictObject({
  ringUrl: z.url({ protocol: /^https?$/ }),
  script: z.unknown(),
  from: z.string().max(128).optional(),
  to: z.string().max(128).optional(),
  schema: z.enum(['eventGrid', 'cloudEvents']).optional(),
  recordTo: z.string().max(4_096).optional(),
  faults: callbacks
    .extend({
      duplicateRing: z.boolean().optional(),
      ringDelayMs: ms.optional(),
      mediaRedial: redial.optional(),
      transferFails: z.boolean().optional(),
    })
    .optional(),
});

const faultsSchema = z.strictObject({
  mediaRedial: redial.optional(),
  rotateKeys: z.boolean().optional(),
  /** Cuts the media sockets of all calls, as a network failure does. */
  dropMedia: z.boolean().optional(),
  acs: z
    .strictObject({
      ...{
        throttle: count.optional(),
        unavailable: count.optional(),
        replyLost: count.optional(),
        delayMs: ms.optional(),
      },
      ...{ retryAfterSeconds: count.optional(), down: z.boolean().optional(), keysAway: z.boolean().optional() },
      callbacks: callbacks.optional(),
    })
    .optional(),
  entra: z.strictObject({ unavailable: count.optional(), down: z.boolean().optional() }).optional(),
  cosmos: z
    .strictObject({
      ...{
        throttle: count.optional(),
        retryAfterMs: ms.optional(),
        delayMs: ms.optional(),
        replyLost: count.optional(),
      },
      ...{ down: z.boolean().optional(), frozen: z.boolean().optional() },
    })
    .optional(),
});

export type FaultsRequest = z.infer<typeof faultsSchema>;

/** A call in JSON: as {@link CallRequest}, without PCM. */
export function readCallRequest(body: unknown): CallRequest {
  const { script, ...rest } = parse(callSchema, body);
  return defined({ ...rest, script: parseScript(script), faults: rest.faults && defined(rest.faults) }) as CallRequest;
}

export async function applyFaults(azure: Azure, body: unknown): Promise<void> {
  const { acs, entra, cosmos, mediaRedial, rotateKeys, dropMedia } = parse(faultsSchema, body);
  const { callbacks: disturbed, ...flags } = acs ?? {};
  Object.assign(azure.acs.faults, defined(flags));
  Object.assign(azure.acs.faults.callbacks, defined(disturbed ?? {}));
  Object.assign(azure.entra.faults, defined(entra ?? {}));
  Object.assign(azure.cosmos.faults, defined(cosmos ?? {}));
  if (mediaRedial) azure.acs.mediaRedial = mediaRedial;
  if (rotateKeys) await azure.acs.rotateKeys();
  if (dropMedia) for (const call of azure.acs.calls) call.dropMedia();
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw CONTROL_REQUEST_INVALID.with(faults.join('; '), parsed.error);
}

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
