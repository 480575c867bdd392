import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { defineError } from '../platform/errors.ts';
import { packageFile } from './package_files.ts';
import type { VoiceWorkerPool } from './pool.gen.ts';
import { checkPool } from './pool_check.ts';
import { type FieldPath, fieldName, type PoolFault } from './pool_faults.ts';
import { BUILTIN_DIALOGUE } from './pool_rules.ts';
import { poolSchema } from './pool_schema.ts';
import { dropUnknown } from './pool_structure.ts';

export type { PoolCondition, PoolDrain, PoolSchedule, PoolSpec, PoolStatus, VoiceWorkerPool } from './pool.gen.ts';
export { changedImmutables, POOL_RULES, transitionFaults } from './pool_rules.ts';
export { POOL_API_VERSION, POOL_KIND, poolSchema } from './pool_schema.ts';

export const POOL_INVALID = defineError('ERR_POOL_INVALID', {
  status: 422,
  message: 'the pool document is not valid',
  remedy:
    'Mend the named fields; crds/voiceworkerpool.yaml describes every field and examples/pool.yaml is one that works.',
});

/** As much as the API server's own store would take, with room to spare. */
const MAX_DOCUMENT_CHARACTERS = 256 * 1024;
const MAX_FAULTS = 20;

/**
 * One pool document, YAML or JSON: validated and filled with defaults by the schema of the CRD.
 * `file` is named in errors, and relative paths in the document start at its folder (else at the working directory).
 * A field that nobody knows is a fault, unless `onUnknown` is there to be told of it: then it is left out. Throws ERR_POOL_INVALID that lists
 * every fault.
 */
export function parsePool(
  text: string,
  options: { file?: string; onUnknown?: (fields: readonly string[]) => void } = {},
): VoiceWorkerPool {
  const label = options.file ?? 'pool document';
  const lines = new LineCounter();
  if (text.length > MAX_DOCUMENT_CHARACTERS) {
    throw POOL_INVALID.with(
      `${label} is longer than ${MAX_DOCUMENT_CHARACTERS} characters; a pool needs a few hundred`,
    );
  }
  const document = readYaml(text, label, lines);
  const value = toValue(document, label);
  const unknown = options.onUnknown ? dropUnknown(value, poolSchema()) : [];
  if (unknown.length > 0) options.onUnknown?.(unknown.map(fieldName));
  const faults = checkPool(value);
  if (faults.length > 0) throw POOL_INVALID.with(list(label, faults, document, lines));
  const pool = value as VoiceWorkerPool;
  pool.spec.voice.dialogue = resolvePath(pool.spec.voice.dialogue, options.file);
  return pool;
}

/** `parsePool` of a file; a file that cannot be read is ERR_POOL_INVALID too. */
export function readPool(
  file: string,
  options: { onUnknown?: (fields: readonly string[]) => void } = {},
): VoiceWorkerPool {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw POOL_INVALID.with(`${file} cannot be read; check the path and its permissions`, cause);
  }
  return parsePool(text, { file, ...options });
}

function readYaml(text: string, label: string, lines: LineCounter): Document {
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const faults = document.errors
      .slice(0, MAX_FAULTS)
      .map((error) => `line ${lines.linePos(error.pos[0]).line}: ${error.message}`);
    throw POOL_INVALID.with(`${label} is not YAML of one document\n  ${faults.join('\n  ')}`);
  }
  return document as Document;
}

function toValue(document: Document, label: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw POOL_INVALID.with(
      `${label} repeats aliases too often, or names one that is not there; write the values out`,
      cause,
    );
  }
}

function list(label: string, faults: readonly PoolFault[], document: Document, lines: LineCounter): string {
  const shown = faults.slice(0, MAX_FAULTS).map(({ path, text }) => {
    const line = lineOf(document, path, lines);
    return `  ${fieldName(path)}${line === undefined ? '' : ` (line ${line})`} ${text}`;
  });
  if (faults.length > MAX_FAULTS) shown.push(`  and ${faults.length - MAX_FAULTS} more`);
  return `${label}\n${shown.join('\n')}`;
}

/** Line of the field, or of the nearest of its parents that is there. */
function lineOf(document: Document, path: FieldPath, lines: LineCounter): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] | null } | undefined;
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

/** Absolute, so that a copy of the document elsewhere means the same file. */
function resolvePath(path: string, file: string | undefined): string {
  if (path === BUILTIN_DIALOGUE) return packageFile('examples/dialogue.yaml');
  return isAbsolute(path) ? path : resolve(file === undefined ? '.' : dirname(file), path);
}
