import type { Finding } from './finding.ts';

const WARN_LINES = 300;
const MAX_LINES = 400;

export function checkLength(file: string, text: string): Finding[] {
  if (!/\.(ts|mjs|js)$/.test(file) || file.endsWith('.gen.ts')) return [];
  const lines = text.split('\n').length - 1;
  if (lines <= WARN_LINES) return [];
  const severity = lines > MAX_LINES ? 'error' : 'warning';
  return [
    {
      file,
      line: 0,
      rule: 'length',
      severity,
      text: `${lines} lines; split it at ${WARN_LINES}, ${MAX_LINES} is the limit`,
    },
  ];
}

/** What must not stand in any file: it would be true of one machine only. Letters in brackets keep this file from finding itself. */
const FORBIDDEN: readonly { pattern: RegExp; why: string }[] = [
  { pattern: /(?<![\w./-])\/(work|root)\/[a-z]/, why: 'an absolute path of one machine' },
  { pattern: /(?<![\w./-])\/home\/[a-z]+\//, why: 'a path of one user' },
  {
    pattern: /registr[y]\.(npmjs|yarnpkg)|pyp[i]\.org|prox[y]\.golang\.org/,
    why: 'the host of a package registry: every user has their own',
  },
];

export function checkWords(file: string, text: string): Finding[] {
  const findings: Finding[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const { pattern, why } of FORBIDDEN) {
      const found = pattern.exec(line)?.[0];
      if (found !== undefined)
        findings.push({ file, line: index + 1, rule: 'words', severity: 'error', text: `${found}: ${why}` });
    }
  }
  return findings;
}

/** The lockfile must resolve nothing by itself but the packages inside the repository. */
export function checkLockfile(text: string): Finding[] {
  return text.split('\n').flatMap((line, index) =>
    /"resolved": "(?!file:)/.test(line)
      ? [
          {
            file: 'package-lock.json',
            line: index + 1,
            rule: 'words',
            severity: 'error' as const,
            text: 'an entry names a host; omit-lockfile-registry-resolved keeps it out',
          },
        ]
      : [],
  );
}
