export interface Finding {
  file: string;
  /** 1-based; 0 when the whole file is meant. */
  line: number;
  rule: string;
  text: string;
  severity: 'error' | 'warning';
}

export function format({ file, line, rule, text, severity }: Finding): string {
  return `${file}${line > 0 ? `:${line}` : ''}: ${severity === 'warning' ? 'warning: ' : ''}${text} (${rule})`;
}
