import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Setting } from '../../platform/config.ts';
import { describeValue } from '../../platform/config_text.ts';
import { ships } from '../check/imports.ts';
import { ROOT } from '../files.ts';
import { heading, row } from './markdown.ts';

const HEAD = `${heading('Settings')}
Every process is configured by environment variables alone; an empty one counts as not set. A process that is given a wrong value
does not start, and names every fault at once. What a whole pool shares stands in its document (\`crds/voiceworkerpool.yaml\`).
`;

const FILE_NAME = /(^|\/|_)settings\.ts$/;
const DECLARATION = /export const \w+_SETTINGS\b/;

/** A process keeps its settings in `settings.ts` or `*_settings.ts`, as an exported object `…_SETTINGS`. */
function settingsFiles(files: readonly string[]): string[] {
  return files.filter((file) => FILE_NAME.test(file) && DECLARATION.test(readFileSync(join(ROOT, file), 'utf8')));
}

/** Files that declare settings but are not named so: they would miss the table. `sources` are texts by file name. */
export function misplacedSettings(sources: Readonly<Record<string, string>>): string[] {
  return Object.keys(sources).filter(
    (file) => !FILE_NAME.test(file) && /=\s*\{[^=]*\bsetting\(/.test(sources[file] ?? ''),
  );
}

/** `misplacedSettings` of the files that ship. */
export function misplacedIn(files: readonly string[]): string[] {
  const shipped = files.filter((file) => file.endsWith('.ts') && ships(file));
  return misplacedSettings(Object.fromEntries(shipped.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')])));
}

export async function settingsTable(files: readonly string[]): Promise<string> {
  const sections: string[] = [];
  for (const file of settingsFiles(files)) {
    const module = (await import(join(ROOT, file))) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module)) {
      if (name.endsWith('_SETTINGS')) sections.push(section(file, name, value as Record<string, Setting<unknown>>));
    }
  }
  return `${HEAD}\n${sections.join('\n')}`;
}

function section(file: string, name: string, settings: Record<string, Setting<unknown>>): string {
  const words = name
    .replace(/_SETTINGS$/, '')
    .toLowerCase()
    .replaceAll('_', ' ');
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  const rows = Object.values(settings)
    .sort((a, b) => a.env.localeCompare(b.env))
    .map((setting) =>
      row([
        `\`${setting.env}\``,
        setting.description,
        describeValue(setting) + (setting.secret ? '; secret' : ''),
        setting.default === undefined ? '**must be set**' : `\`${setting.default}\``,
      ]),
    );
  return `## ${title}\n\nDefined in \`${file}\`.\n\n${row(['variable', 'meaning', 'values', 'default'])}${row(['---', '---', '---', '---'])}${rows.join('')}`;
}
