/** `npm test [-- [--tier unit|wire|edge|processes|api|e2e] [--times N] [part of a path]...]`: runs the tiers one after the other and tells of what is left behind. */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';
import { systemRandom } from '../platform/random.ts';
import { projectFiles, ROOT } from './files.ts';
import { kill, RUN_VARIABLE, waitForNone } from './runner/leftovers.ts';
import { prepare } from './runner/prerequisites.ts';
import { filesAtOnce, parseArguments, select, TIERS, type Tier } from './runner/select.ts';
import { Tally } from './runner/tally.ts';

const LEFTOVER_GRACE_MS = 3_000;
/** npm keeps its compiled code there, and is told by nobody to take it away. */
const COMPILE_CACHE = 'node-compile-cache';

/** False when the files of the tier cannot run; the tally has them then. */
async function isPrepared(tier: Tier, files: readonly string[], tally: Tally): Promise<boolean> {
  let why: string | undefined;
  try {
    why = await prepare(tier, (line) => void process.stderr.write(`${tier}: ${line}\n`));
  } catch (error) {
    process.stdout.write(`the tier ${tier} could not be prepared: ${error instanceof Error ? error.message : error}\n`);
    tally.failed = true;
    why = 'its tier could not be prepared, see above';
  }
  if (why === undefined) return true;
  process.stdout.write(`skipping the tier ${tier} (${files.length} files): ${why}\n`);
  for (const file of files) tally.skipFile(file, why);
  return false;
}

async function* events(groups: readonly { tier: Tier; files: string[] }[], tally: Tally): AsyncGenerator<TestEvent> {
  for (const { tier, files } of groups) {
    if (!(await isPrepared(tier, files, tally))) continue;
    const stream = run({
      files: files.map((file) => join(ROOT, file)),
      concurrency: filesAtOnce(tier, availableParallelism()),
      timeout: TIERS[tier].timeoutMs,
    });
    for await (const event of stream as AsyncIterable<TestEvent>) if (tally.take(event)) yield event;
  }
}

async function print(groups: readonly { tier: Tier; files: string[] }[], tally: Tally): Promise<void> {
  for await (const chunk of Readable.from(events(groups, tally)).compose(new spec())) process.stdout.write(chunk);
}

/** What this run has started and not stopped is a fault of the tests, and would disturb the next run: it is named and ended. */
async function noneLeft(runId: string): Promise<boolean> {
  const left = await waitForNone(runId, LEFTOVER_GRACE_MS);
  for (const { pid, command, ports } of left) {
    const listening = ports.length > 0 ? `, listening on ${ports.join(', ')}` : '';
    process.stdout.write(`left running by a test: process ${pid} (${command})${listening}; it is ended now\n`);
  }
  kill(left);
  await waitForNone(runId, LEFTOVER_GRACE_MS);
  return left.length === 0;
}

async function main(args: readonly string[]): Promise<number> {
  const selection = parseArguments(args);
  const groups = select(projectFiles(), selection);
  if (groups.length === 0)
    throw new Error('no test file matches; the arguments are parts of paths, such as `state` or `worker/media`');
  const runId = systemRandom.id(16);
  const scratch = mkdtempSync(join(tmpdir(), 'rtvoice-test-'));
  // A test may run a part of the product as another user.
  chmodSync(scratch, 0o755);
  process.env[RUN_VARIABLE] = runId;
  process.env.TMPDIR = scratch;
  process.once('SIGINT', () => {
    void noneLeft(runId).finally(() => {
      rmSync(scratch, { recursive: true, force: true });
      process.exit(130);
    });
  });
  const startMs = performance.now();
  const tally = new Tally();
  let clean = false;
  try {
    for (let run = 1; run <= selection.times; run++) {
      if (selection.times > 1)
        process.stdout.write(`\nrun ${run} of ${selection.times}, ${tally.counts.fail} failed before\n`);
      await print(groups, tally);
    }
  } finally {
    clean = await noneLeft(runId);
    const left = readdirSync(scratch).filter((name) => name !== COMPILE_CACHE);
    for (const name of left) process.stdout.write(`left in the folder for temporary files: ${name}\n`);
    rmSync(scratch, { recursive: true, force: true });
  }
  if (tally.skipped.length > 0)
    process.stdout.write(`\nskipped:\n${tally.skipped.map((line) => `  ${line}\n`).join('')}`);
  process.stdout.write(`\n${tally.closingLines(performance.now() - startMs)}`);
  // Where everything is meant to be there, a tier that could not run is a fault.
  const lacking = tally.lacking && process.env.CI === 'true';
  if (lacking) process.stdout.write('failed: with CI=true no tier may be skipped\n');
  return tally.failed || lacking || !clean || tally.counts.tests === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
