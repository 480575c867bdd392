import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '../../platform/errors.ts';
import { ships } from '../check/imports.ts';
import { ROOT } from '../files.ts';
import { heading, row } from './markdown.ts';

const HEAD = `${heading('Errors')}
Each error of rtvoice has a stable code, which logs, HTTP answers and \`--json\` output carry. A code is never used again for something else.
`;

const DEFINED = /defineError\(\s*'(ERR_[A-Z0-9_]+)'/g;

/** Loads every module that defines errors: they enter the catalogue by that. */
export async function errorsTable(files: readonly string[]): Promise<string> {
  const definedIn = new Map<string, string>();
  for (const file of files.filter((name) => name.endsWith('.ts') && ships(name))) {
    const codes = [...readFileSync(join(ROOT, file), 'utf8').matchAll(DEFINED)].map((match) => match[1] ?? '');
    if (codes.length === 0) continue;
    // Loading a program would start it.
    if (/(^|[/_])main\.ts$/.test(file))
      throw new Error(`${file} is a program; define its errors in a module beside it`);
    for (const code of codes) definedIn.set(code, file);
    await import(join(ROOT, file));
  }
  const rows = errorCatalogue()
    .filter(({ code }) => definedIn.has(code))
    .map((kind) =>
      row([`\`${kind.code}\``, String(kind.status), kind.message, kind.remedy, `\`${definedIn.get(kind.code)}\``]),
    );
  return `${HEAD}\n${row(['code', 'status', 'message', 'what to do', 'defined in'])}${row(['---', '---', '---', '---', '---'])}${rows.join('')}`;
}
