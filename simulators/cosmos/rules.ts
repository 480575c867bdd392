import type { ContainerDefinition } from './container.ts';
import { badRequest } from './http_error.ts';

const MAX_KEY_LEVELS = 3;
const MAX_TTL_SECONDS = 2_147_483_647;

/** The service refuses these in ids of every kind. */
export function checkId(id: unknown): asserts id is string {
  if (typeof id !== 'string' || id === '' || id.length > 255 || /[/\\?#]/.test(id) || id.endsWith(' ')) {
    throw badRequest(
      'The input name is invalid. Ensure to provide a unique non-empty string less than 255 characters without /, \\, ? and #.',
    );
  }
}

export function checkDefinition(definition: ContainerDefinition): void {
  checkId(definition.id);
  const { paths, kind } = definition.partitionKey ?? {};
  if (
    !Array.isArray(paths) ||
    paths.length === 0 ||
    !paths.every((path) => typeof path === 'string' && path.startsWith('/'))
  ) {
    throw badRequest('The partition key component definition paths must not be empty and start with a slash.');
  }
  if (paths.length > MAX_KEY_LEVELS) throw badRequest('Too many partition key paths.');
  if (kind === 'Hash' && paths.length > 1) throw badRequest('Hash partition keys have one path; use MultiHash.');
  const { defaultTtl } = definition;
  if (defaultTtl !== undefined && !isTtl(defaultTtl)) {
    throw badRequest('The value of defaultTtl must be -1 or a positive whole number.');
  }
}

export function isTtl(value: unknown): boolean {
  return (
    typeof value === 'number' && Number.isInteger(value) && (value === -1 || (value > 0 && value <= MAX_TTL_SECONDS))
  );
}
