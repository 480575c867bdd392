import { badRequest } from './http_error.ts';

export interface PatchOperation {
  op: string;
  path: string;
  value?: unknown;
}

const MAX_OPERATIONS = 10;

/** A changed copy of `source`. Fails as a whole: one bad operation changes nothing. */
export function applyPatch(
  source: Record<string, unknown>,
  operations: readonly PatchOperation[],
): Record<string, unknown> {
  if (!Array.isArray(operations) || operations.length === 0) throw badRequest('A patch needs at least one operation.');
  if (operations.length > MAX_OPERATIONS) throw badRequest('The number of patch operations cannot exceed 10.');
  const target = structuredClone(source);
  for (const operation of operations) applyOne(target, operation);
  return target;
}

function applyOne(target: Record<string, unknown>, { op, path, value }: PatchOperation): void {
  const segments = String(path)
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  const name = segments.pop();
  if (name === undefined || name === '' || (segments.length === 0 && (name === 'id' || name.startsWith('_')))) {
    throw badRequest(`Patch path ${path} cannot be changed.`);
  }
  const parent = segments.reduce<unknown>((at, segment) => (isContainer(at) ? at[segment] : undefined), target);
  if (!isContainer(parent)) throw badRequest(`Patch path ${path} does not exist.`);
  const exists = Object.hasOwn(parent, name);
  switch (op) {
    case 'add':
      if (Array.isArray(parent)) parent.splice(name === '-' ? parent.length : indexIn(parent, name), 0, value);
      else parent[name] = value;
      return;
    case 'set':
      if (Array.isArray(parent)) parent[name === '-' ? parent.length : indexIn(parent, name)] = value;
      else parent[name] = value;
      return;
    case 'replace':
      if (!exists) throw badRequest(`Replace: ${path} does not exist.`);
      parent[name] = value;
      return;
    case 'remove':
      if (!exists) throw badRequest(`Remove: ${path} does not exist.`);
      if (Array.isArray(parent)) parent.splice(Number(name), 1);
      else delete parent[name];
      return;
    case 'incr': {
      const current = exists ? parent[name] : 0;
      if (typeof current !== 'number' || typeof value !== 'number')
        throw badRequest(`Increment: ${path} is not a number.`);
      parent[name] = current + value;
      return;
    }
    default:
      throw badRequest(`Patch operation ${op} is not supported.`);
  }
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function indexIn(array: unknown[], name: string): number {
  const index = Number(name);
  if (!Number.isInteger(index) || index < 0 || index > array.length)
    throw badRequest(`Patch index ${name} is out of range.`);
  return index;
}
