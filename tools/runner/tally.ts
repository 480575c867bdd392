import type { TestEvent } from 'node:test/reporters';

interface Counts {
  tests: number;
  suites: number;
  pass: number;
  fail: number;
  cancelled: number;
  skipped: number;
  todo: number;
}

const COUNTED = Object.keys({
  tests: 0,
  suites: 0,
  pass: 0,
  fail: 0,
  cancelled: 0,
  skipped: 0,
  todo: 0,
} satisfies Counts);
const CLOSING = new RegExp(`^(${[...COUNTED, 'duration_ms'].join('|')}) [\\d.]+$`);

/** Sums what several runs of the test runner say, so that one set of closing lines stands at the end. */
export class Tally {
  readonly counts: Counts = { tests: 0, suites: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
  readonly skipped: string[] = [];
  failed = false;
  /** Whole files were skipped for want of something that their tier needs. */
  lacking = false;

  /** False for a closing line of a single run, which must not be printed. */
  take(event: TestEvent): boolean {
    if (event.type === 'test:pass' && event.data.skip !== undefined) {
      const why = typeof event.data.skip === 'string' && event.data.skip !== '' ? event.data.skip : 'no reason given';
      this.skipped.push(`${event.data.file ?? ''} "${event.data.name}": ${why}`);
    }
    if (event.type === 'test:fail' && event.data.todo === undefined) this.failed = true;
    if (event.type === 'test:summary') {
      // One summary comes for each file, and one without a file for the run.
      if (event.data.file === undefined) this.#add(event.data.counts, event.data.success);
      return false;
    }
    return !(event.type === 'test:diagnostic' && event.data.nesting === 0 && CLOSING.test(event.data.message));
  }

  /** A test file that could not run here: counts as one skipped test, never as one that passed. */
  skipFile(file: string, reason: string): void {
    this.counts.tests += 1;
    this.counts.skipped += 1;
    this.skipped.push(`${file}: ${reason}`);
    this.lacking = true;
  }

  #add(counts: Record<string, number>, success: boolean): void {
    const { counts: sum } = this;
    sum.tests += counts.tests ?? 0;
    sum.suites += counts.suites ?? 0;
    sum.pass += counts.passed ?? 0;
    sum.fail += counts.failed ?? 0;
    sum.cancelled += counts.cancelled ?? 0;
    sum.skipped += counts.skipped ?? 0;
    sum.todo += counts.todo ?? 0;
    if (!success) this.failed = true;
  }

  closingLines(durationMs: number): string {
    const lines = Object.entries({ ...this.counts, duration_ms: Math.round(durationMs) });
    return lines.map(([name, value]) => `# ${name} ${value}\n`).join('');
  }
}
