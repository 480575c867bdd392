import { spawn } from 'node:child_process';
import { isAbsolute, join, relative } from 'node:path';
import { ROOT } from '../files.ts';
import type { Finding } from './finding.ts';

async function outputOf(command: string, args: readonly string[]): Promise<{ code: number; text: string }> {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => resolve(exit ?? 1));
  });
  return { code, text };
}

const program = (name: string): string => join(ROOT, 'node_modules/.bin', name);

export async function biome(): Promise<Finding[]> {
  const { code, text } = await outputOf(program('biome'), ['check', '--reporter=github', '--max-diagnostics=1000']);
  return complete('biome', code, text, parseBiome(text));
}

export function parseBiome(text: string): Finding[] {
  const LINE = /^::(error|warning) title=([^,]+),file=([^,]+),line=(\d+),[^:]*::(.*)$/gm;
  return [...text.matchAll(LINE)].map(([, severity, rule, file, line, message]) => ({
    file: isAbsolute(file ?? '') ? relative(ROOT, file ?? '') : (file ?? ''),
    line: Number(line),
    rule: `biome ${rule}`,
    severity: severity === 'warning' ? 'warning' : 'error',
    text: rule === 'format' ? 'is not formatted; run npm run format' : (message ?? ''),
  }));
}

export async function typeCheck(): Promise<Finding[]> {
  const { code, text } = await outputOf(program('tsc'), ['-p', 'tsconfig.json', '--pretty', 'false']);
  return complete('tsc', code, text, parseTsc(text));
}

export function parseTsc(text: string): Finding[] {
  return [...text.matchAll(/^(\S[^(\n]*)\((\d+),\d+\): error (TS\d+): (.*)$/gm)].map(
    ([, file, line, rule, message]) => ({
      file: file ?? '',
      line: Number(line),
      rule: `tsc ${rule}`,
      severity: 'error',
      text: message ?? '',
    }),
  );
}

/** Generated files that differ from what their sources give. */
export async function drift(): Promise<Finding[]> {
  const { code, text } = await outputOf(process.execPath, [join(ROOT, 'tools/gen.ts'), '--check']);
  const findings = [...text.matchAll(/^drift: (\S+)(?: (.*))?$/gm)].map(([, file, why]): Finding => {
    return {
      file: file ?? '',
      line: 0,
      rule: 'gen',
      severity: 'error',
      text: why ?? 'is out of date; run npm run gen',
    };
  });
  return complete('gen', code, text, findings);
}

/** A program that failed without a finding that we understand must not pass for a clean one. */
function complete(name: string, code: number, text: string, findings: Finding[]): Finding[] {
  if (code === 0 || findings.some(({ severity }) => severity === 'error')) return findings;
  const tail = text.trim().split('\n').slice(-5).join(' | ');
  return [...findings, { file: name, line: 0, rule: name, severity: 'error', text: `ended with ${code}: ${tail}` }];
}
