import type { ErrorObject } from 'ajv';
import { type SchemaNode, schemaAt } from './pool_schema.ts';

export type FieldPath = readonly (string | number)[];

export interface PoolFault {
  path: FieldPath;
  /** What is wrong, and what to write instead. Holds no value of the document but numbers and words of an enumeration. */
  text: string;
}

export function fieldName(path: FieldPath): string {
  const name = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return name.replace(/^\./, '') || 'the document';
}

/** One finding of the validator as a sentence. */
export function describe(error: ErrorObject, schema: SchemaNode): PoolFault {
  const path = pointer(error.instancePath);
  if (error.keyword === 'required') {
    const missing = [...path, String(error.params.missingProperty)];
    return { path: missing, text: `is missing; ${expected(schemaAt(schema, missing))}` };
  }
  if (error.keyword === 'additionalProperties') {
    const unknown = String(error.params.additionalProperty);
    const known = Object.keys(schemaAt(schema, path)?.properties ?? {});
    return { path: [...path, unknown], text: `is not a field of a pool; ${suggestion(unknown, known)}` };
  }
  return { path, text: `${WRONG[error.keyword] ?? 'is not valid'}; ${expected(schemaAt(schema, path))}` };
}

const WRONG: Readonly<Record<string, string>> = {
  type: 'has the wrong type',
  enum: 'is none of the allowed words',
  const: 'has the wrong value',
  minimum: 'is too small',
  maximum: 'is too large',
  minLength: 'is too short',
  maxLength: 'is too long',
  minItems: 'has too few entries',
  maxItems: 'has too many entries',
  maxProperties: 'has too many entries',
  pattern: 'has the wrong form',
};

function pointer(instancePath: string): (string | number)[] {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function expected(node: SchemaNode | undefined): string {
  if (!node) return 'remove it';
  if (node.const !== undefined) return `write ${String(node.const)}`;
  if (node.enum) return `write one of ${node.enum.join(', ')}`;
  if (node.type === 'integer' || node.type === 'number') {
    return `write a ${node.type === 'integer' ? 'whole number' : 'number'} from ${node.minimum} to ${node.maximum}`;
  }
  if (node.type === 'string') {
    const form = node.pattern ? ` that matches ${node.pattern}` : '';
    const length = node.maxLength ? ` of at most ${node.maxLength} characters` : '';
    return `write text${length}${form}`;
  }
  if (node.type === 'object' && node.properties) {
    return `write a mapping with fields such as ${Object.keys(node.properties).slice(0, 3).join(', ')}`;
  }
  if (node.type === 'array') return `write a list of ${node.minItems ?? 0} to ${node.maxItems} entries`;
  if (node.maxProperties !== undefined) return `write a mapping of at most ${node.maxProperties} entries`;
  if (node.type === 'boolean') return 'write true or false';
  return node.type === 'object' ? 'write a mapping' : 'write a value';
}

function suggestion(unknown: string, known: readonly string[]): string {
  const best = known
    .map((name) => ({ name, distance: editDistance(unknown.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  if (best && best.distance <= Math.max(2, Math.floor(unknown.length / 3))) return `did you mean ${best.name}?`;
  return known.length > 0 && known.length <= 12 ? `the fields here are ${known.join(', ')}` : 'remove it';
}

/** Levenshtein distance; the longer a name, the more it costs, so only the first 64 characters count. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, 64);
  const b = right.slice(0, 64);
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
