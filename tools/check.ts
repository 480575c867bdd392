/** `npm run check`: everything about the sources that a machine can judge without running them. One line for each finding. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, format } from './check/finding.ts';
import { checkImports, type Packages } from './check/imports.ts';
import { biome, drift, typeCheck } from './check/programs.ts';
import { checkLength, checkLockfile, checkWords } from './check/texts.ts';
import { projectFiles, ROOT } from './files.ts';

const TEXT = /\.(ts|mjs|js|json|md|yaml|yml|sh|cfg|tpl|html|css)$|(^|\/)[^.]+$|^\./;

function packages(): Packages {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  return {
    dependencies: Object.keys(manifest.dependencies ?? {}),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
  };
}

function checkTexts(): Finding[] {
  const installed = packages();
  return projectFiles()
    .filter((file) => TEXT.test(file))
    .flatMap((file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      if (file === 'package-lock.json') return checkLockfile(text);
      const imports = file.endsWith('.ts') ? checkImports(file, text, installed) : [];
      return [...imports, ...checkLength(file, text), ...checkWords(file, text)];
    });
}

const startMs = performance.now();
const findings = (await Promise.all([biome(), typeCheck(), drift(), checkTexts()])).flat();
findings.sort((a, b) => a.severity.localeCompare(b.severity) || a.file.localeCompare(b.file) || a.line - b.line);
for (const finding of findings) process.stdout.write(`${format(finding)}\n`);
const errors = findings.filter(({ severity }) => severity === 'error').length;
const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
process.stdout.write(`check: ${errors} errors, ${findings.length - errors} warnings, ${seconds} s\n`);
process.exitCode = errors > 0 ? 1 : 0;
