import { z } from 'zod';
import type { Setting, Settings } from './config.ts';

interface ValueSchema {
  type?: string;
  enum?: unknown[];
  format?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: { minLength?: number };
}

/** What may be written for a setting, in words. */
export function describeValue(setting: Pick<Setting<unknown>, 'schema'>): string {
  const options = { unrepresentable: 'any' } as const;
  const output = z.toJSONSchema(setting.schema, { ...options, io: 'output' }) as ValueSchema;
  // A transformation has no schema of its own; what goes into it is what a user writes anyway.
  const value =
    output.type || output.enum ? output : (z.toJSONSchema(setting.schema, { ...options, io: 'input' }) as ValueSchema);
  if (value.enum) return value.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (value.type === 'number' || value.type === 'integer') return `whole number, ${value.minimum} to ${value.maximum}`;
  if (value.type === 'array') {
    const length = value.items?.minLength ? ` of at least ${value.items.minLength} characters` : '';
    return `${value.minItems ?? 0} to ${value.maxItems ?? 'any number of'} texts${length}, separated by commas`;
  }
  return value.format === 'uri' ? 'URL' : 'text';
}

/**
 * The settings in effect, one `VARIABLE=value` a line, for a start-up log or `--print-config`. `default` and `unset` are said;
 * of a secret only whether it is set.
 */
export function effectiveConfig(settings: Settings, env: Readonly<Record<string, string | undefined>>): string {
  return Object.values(settings)
    .map(({ env: variable, default: fallback, secret }) => {
      const given = env[variable] === undefined || env[variable] === '' ? undefined : env[variable];
      if (given === undefined && fallback === undefined) return `${variable} (unset)`;
      // A URL may carry a password although the setting as a whole is no secret.
      const value = secret ? '[hidden]' : (given ?? fallback)?.replace(/\/\/[^/@\s]*@/g, '//[hidden]@');
      return `${variable}=${value}${given === undefined ? ' (default)' : ''}`;
    })
    .join('\n');
}
