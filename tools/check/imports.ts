import { dirname, join, normalize } from 'node:path';
import type { Finding } from './finding.ts';

export interface Import {
  specifier: string;
  line: number;
  typeOnly: boolean;
}

/** Lower may be imported by higher, never the other way; equal ranks only within one folder. */
const LAYERS: Readonly<Record<string, number>> = {
  platform: 0,
  contract: 1,
  security: 2,
  state: 3,
  worker: 4,
  controller: 4,
  compliance: 4,
  cli: 5,
};

/** Who may name what, besides the layers. `typeOnly`: a type import is free for everyone, since it creates nothing. */
const RESTRICTED: readonly { matches: RegExp; allowed: RegExp; typeOnly: boolean; why: string }[] = [
  {
    matches: /^uWebSockets\.js$/,
    allowed: /^worker\/(server\.ts$|media\/)/,
    typeOnly: false,
    why: 'only worker/server.ts and worker/media touch uWebSockets.js',
  },
  {
    matches: /^ioredis(\/|$)/,
    allowed: /^state\/redis\//,
    typeOnly: true,
    why: 'only state/redis creates Redis clients',
  },
  {
    matches: /^simulators\//,
    allowed: /^(simulators|cli\/dev)\//,
    typeOnly: false,
    why: 'only cli/dev, simulators and tests know that a simulator exists',
  },
  {
    matches: /^(test|tools|bench)\//,
    allowed: /^(test|tools|bench)\//,
    typeOnly: false,
    why: 'what ships must not need what does not',
  },
];

const FROM = /\b(import|export)\b(\s+type\b)?[^'"`;()]*?\bfrom\s*(['"])([^'"\n]+)\3/g;
const BARE = /\bimport\s*\(?\s*(['"])([^'"\n]+)\1/g;

/** Import and export specifiers of a source text, by pattern: good enough for sources that the formatter has laid out. */
export function importsOf(text: string): Import[] {
  const lineAt = (index: number) => text.slice(0, index).split('\n').length;
  const found: Import[] = [];
  for (const match of text.matchAll(FROM)) {
    found.push({ specifier: match[4] ?? '', line: lineAt(match.index), typeOnly: match[2] !== undefined });
  }
  for (const match of text.matchAll(BARE)) {
    found.push({ specifier: match[2] ?? '', line: lineAt(match.index), typeOnly: false });
  }
  return found;
}

/** Tests, tools and measurements may look into everything; they do not ship. */
export function ships(file: string): boolean {
  return !/^(test|tools|bench|vendor)\//.test(file) && !/(\.test\.ts|\/testing\.ts)$/.test(file);
}

export interface Packages {
  dependencies: readonly string[];
  devDependencies: readonly string[];
}

export function checkImports(file: string, text: string, packages: Packages): Finding[] {
  if (!ships(file)) return [];
  return importsOf(text).flatMap((found) =>
    [...layerFaults(file, found), ...restrictionFaults(file, found), ...packageFaults(found, packages)].map(
      (fault) => ({
        file,
        line: found.line,
        rule: 'imports',
        severity: 'error' as const,
        text: fault,
      }),
    ),
  );
}

function layerFaults(file: string, { specifier }: Import): string[] {
  if (!specifier.startsWith('.')) return [];
  const from = folderOf(file);
  const to = folderOf(target(file, specifier));
  const fromRank = LAYERS[from];
  const toRank = LAYERS[to];
  if (fromRank === undefined || toRank === undefined || from === to || toRank < fromRank) return [];
  return [`${from} must not import ${to} (${specifier})`];
}

function restrictionFaults(file: string, { specifier, typeOnly }: Import): string[] {
  const name = specifier.startsWith('.') ? target(file, specifier) : specifier;
  return RESTRICTED.filter(
    (rule) => rule.matches.test(name) && !rule.allowed.test(file) && !(rule.typeOnly && typeOnly),
  ).map((rule) => `${rule.why} (${specifier})`);
}

function packageFaults({ specifier, typeOnly }: Import, packages: Packages): string[] {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return [];
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
  if (packages.dependencies.includes(name)) return [];
  if (packages.devDependencies.includes(name)) {
    return typeOnly ? [] : [`${name} is a development dependency, which is not there once installed`];
  }
  return [`${name} is not in package.json`];
}

const folderOf = (file: string): string => file.split('/')[0] ?? '';
const target = (file: string, specifier: string): string => normalize(join(dirname(file), specifier));
