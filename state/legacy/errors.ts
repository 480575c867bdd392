import { defineError } from '../../platform/errors.ts';

/** Details name the key and the field, never what stands in them: it may be what a caller said. */
export const LEGACY_UNREADABLE = defineError('ERR_LEGACY_UNREADABLE', {
  status: 500,
  message: 'an older flat Redis key cannot be read',
  remedy:
    'The key was left as it is. Mend the named field or delete the key, then run `rtvoice migrate` again; `--dry-run` lists all of them.',
});
export const LEGACY_TOO_LARGE = defineError('ERR_LEGACY_TOO_LARGE', {
  status: 413,
  message: 'an older flat Redis key is larger than can be migrated',
  remedy: 'The key was left as it is. Export it by hand, then shorten or delete it.',
});

/** A key's name for errors and listings: bounded, and control characters escaped. */
export function shownKey(key: string): string {
  return JSON.stringify(key.length > 160 ? `${key.slice(0, 160)}…` : key).slice(1, -1);
}
