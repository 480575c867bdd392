import { badRequest } from '../http_error.ts';
import { compare } from './values.ts';

type Fn = (...args: unknown[]) => unknown;

const ofText =
  (run: (text: string) => unknown): Fn =>
  (text) =>
    typeof text === 'string' ? run(text) : undefined;
const ofNumber =
  (run: (value: number) => unknown): Fn =>
  (value) =>
    typeof value === 'number' ? run(value) : undefined;
/** Text with a piece of it; the optional third argument makes it blind to letter case. */
const ofTexts =
  (run: (text: string, piece: string) => boolean): Fn =>
  (text, piece, blind) => {
    if (typeof text !== 'string' || typeof piece !== 'string') return undefined;
    return blind === true ? run(text.toLowerCase(), piece.toLowerCase()) : run(text, piece);
  };

/** Functions of the language by lower-case name, with how many arguments they may have. */
const FUNCTIONS: Readonly<Record<string, { min: number; max: number; run: Fn }>> = {
  is_defined: { min: 1, max: 1, run: (value) => value !== undefined },
  is_null: { min: 1, max: 1, run: (value) => value === null },
  is_string: { min: 1, max: 1, run: (value) => typeof value === 'string' },
  is_number: { min: 1, max: 1, run: (value) => typeof value === 'number' },
  is_bool: { min: 1, max: 1, run: (value) => typeof value === 'boolean' },
  is_array: { min: 1, max: 1, run: (value) => Array.isArray(value) },
  is_object: { min: 1, max: 1, run: (value) => typeof value === 'object' && value !== null && !Array.isArray(value) },
  startswith: { min: 2, max: 3, run: ofTexts((text, piece) => text.startsWith(piece)) },
  endswith: { min: 2, max: 3, run: ofTexts((text, piece) => text.endsWith(piece)) },
  contains: { min: 2, max: 3, run: ofTexts((text, piece) => text.includes(piece)) },
  stringequals: { min: 2, max: 3, run: ofTexts((text, piece) => text === piece) },
  lower: { min: 1, max: 1, run: ofText((text) => text.toLowerCase()) },
  upper: { min: 1, max: 1, run: ofText((text) => text.toUpperCase()) },
  trim: { min: 1, max: 1, run: ofText((text) => text.trim()) },
  length: { min: 1, max: 1, run: ofText((text) => [...text].length) },
  substring: { min: 3, max: 3, run: substring },
  concat: { min: 2, max: 64, run: (...texts) => (texts.every(isText) ? texts.join('') : undefined) },
  tostring: { min: 1, max: 1, run: (value) => (typeof value === 'string' ? value : JSON.stringify(value)) },
  abs: { min: 1, max: 1, run: ofNumber(Math.abs) },
  floor: { min: 1, max: 1, run: ofNumber(Math.floor) },
  ceiling: { min: 1, max: 1, run: ofNumber(Math.ceil) },
  round: { min: 1, max: 1, run: ofNumber(Math.round) },
  array_length: { min: 1, max: 1, run: (value) => (Array.isArray(value) ? value.length : undefined) },
  array_contains: { min: 2, max: 3, run: arrayContains },
  iif: { min: 3, max: 3, run: (test, then, otherwise) => (test === true ? then : otherwise) },
};

export function functionOf(name: string, count: number): Fn {
  const found = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (!found) throw badRequest(`'${name.toUpperCase()}' is not a function this simulator knows.`);
  if (count < found.min || count > found.max)
    throw badRequest(`Function '${name.toUpperCase()}' does not take ${count} arguments.`);
  return found.run;
}

const isText = (value: unknown): value is string => typeof value === 'string';

function substring(text: unknown, from: unknown, length: unknown): unknown {
  if (typeof text !== 'string' || typeof from !== 'number' || typeof length !== 'number') return undefined;
  return text.slice(Math.max(0, from), Math.max(0, from) + Math.max(0, length));
}

/** With a third argument that is true, an object is found by some of its members. */
function arrayContains(array: unknown, wanted: unknown, partial: unknown): unknown {
  if (!Array.isArray(array)) return undefined;
  return array.some((item) => {
    if (partial !== true || typeof wanted !== 'object' || wanted === null) return compare('=', item, wanted) === true;
    if (typeof item !== 'object' || item === null) return false;
    return Object.entries(wanted).every(
      ([name, value]) => compare('=', (item as Record<string, unknown>)[name], value) === true,
    );
  });
}
