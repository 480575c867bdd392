import { z } from 'zod';
import { defineError } from './errors.ts';

export const CONFIG_INVALID = defineError('ERR_CONFIG_INVALID', {
  status: 500,
  message: 'the configuration is not valid',
  remedy: 'Set the named environment variable as docs/settings.md describes it.',
});

/** One setting of a process. `schema` parses the variable's text; a setting without a default must be set. */
export interface Setting<T> {
  readonly env: `RTVOICE_${string}`;
  readonly description: string;
  readonly schema: z.ZodType<T, string>;
  /** As it would be written in the environment. */
  readonly default?: string;
  readonly secret?: boolean;
}

export type Settings = Record<string, Setting<unknown>>;
export type Config<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

export function setting<T>(fields: Setting<T>): Setting<T> {
  return fields;
}

/** Reads all settings at once and reports every fault, so that a user mends them in one go. */
export function loadConfig<S extends Settings>(
  settings: S,
  env: Readonly<Record<string, string | undefined>>,
): Config<S> {
  const values: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [name, { env: variable, schema, default: fallback }] of Object.entries(settings)) {
    const text = env[variable] === undefined || env[variable] === '' ? fallback : env[variable];
    if (text === undefined) {
      faults.push(`${variable} is not set`);
      continue;
    }
    const parsed = schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else faults.push(`${variable}: ${parsed.error.issues.map((issue) => issue.message).join(', ')}`);
  }
  if (faults.length > 0) throw CONFIG_INVALID.with(faults.join('; '));
  return Object.freeze(values) as Config<S>;
}

/** Text of the environment to values. */
export const text = z.string().min(1);
export const optionalText = z.string().transform((value) => (value === '-' ? undefined : value));
export const url = z.url();
export const whole = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max));
export const choice = <const T extends readonly [string, ...string[]]>(...values: T) => z.enum(values);
export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
/** Secrets with overlap on rotation: comma-separated, the first is used for new work, all are accepted. */
export const keyList = z
  .string()
  .transform((value) =>
    value
      .split(',')
      .map((key) => key.trim())
      .filter(Boolean),
  )
  .pipe(z.array(z.string().min(16, 'each key needs at least 16 characters')).min(1).max(4));
/** `-` is none. */
export const optionalKeyList = z
  .literal('-')
  .transform(() => undefined)
  .or(keyList);
