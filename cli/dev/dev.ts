import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { packageFile } from '../../contract/package_files.ts';
import { defineError } from '../../platform/errors.ts';
import { KEY_FAULTS } from '../../state/manager/audit.ts';
import { EXIT, type ExitCode, type Io } from '../io.ts';
import { type Caller, loadCallers } from './callers.ts';
import { takePicture } from './live.ts';
import { type DevReport, isOk } from './report.ts';
import { Screen } from './screen.ts';
import { CallerSession } from './session.ts';
import { type Stack, startStack } from './stack.ts';
import { DEFAULT_STATE_DIR, StateDir } from './state_dir.ts';

export const LOCAL_MODE_RUNS = defineError('ERR_LOCAL_MODE_RUNS', {
  status: 409,
  message: 'local mode runs already in this folder',
  remedy: 'Stop the other one with Ctrl-C, or name another folder with --state-dir.',
});
export const FLAG_INVALID = defineError('ERR_FLAG_INVALID', {
  status: 400,
  message: 'a flag has no usable value',
  remedy: 'See `rtvoice --help`.',
});

interface DevOptions {
  calls: number;
  exit: boolean;
  json: boolean;
  poolFile: string;
  stateDir: string;
}

const PICTURE_MS = 400;
const AUDIT_MS = 2_000;
/** Callers that start at the same moment would all speak at the same moment. */
const STAGGER_MS = 700;
const PAUSE_BETWEEN_CALLS_MS = 2_000;
const STOP_GRACE_SECONDS = 5;

/** `rtvoice dev`: everything on this machine until Ctrl-C, or with --exit until the given number of calls has ended. */
export async function dev(args: string[], io: Io): Promise<ExitCode> {
  const options = readOptions(args);
  const dir = new StateDir(options.stateDir);
  if (dir.running()) throw LOCAL_MODE_RUNS.with(dir.path);
  const say = (line: string) => io.err(`${line}\n`);
  const interrupted = interruption();
  say(`rtvoice starts: pool ${options.poolFile}, state in ${dir.path}`);
  const starting = startStack(dir, options.poolFile, say);
  const stack = await Promise.race([starting, interrupted.promise.then(() => undefined)]);
  if (!stack) {
    say('stopping before everything has started');
    await starting.then((late) => late.stop(1));
    return EXIT.error;
  }
  dir.writeEnvironment(stack.env);
  dir.writeRun({
    publicUrl: stack.publicUrl,
    ringUrl: stack.ringUrl,
    controlUrl: stack.azure.url,
    controlToken: stack.azure.token,
    namespace: stack.namespace,
    pool: stack.pool,
  });
  const session = new CallerSession(stack, dir.path);
  try {
    const callers = loadCallers(packageFile('examples/callers.yaml'));
    if (options.exit)
      return await runToEnd({ options, stack, session, callers, io, say, interrupted: interrupted.promise });
    await runUntilInterrupted({ options, stack, session, callers, io, dir, interrupted: interrupted.promise });
    return EXIT.ok;
  } finally {
    say('stopping: callers, workers, controller, Azure, Redis');
    await session.hangUpAll();
    await session.close();
    await stack.stop(STOP_GRACE_SECONDS);
    interrupted.release();
    say('stopped');
  }
}

function readOptions(args: string[]): DevOptions {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: 'string' },
      exit: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      pool: { type: 'string' },
      'state-dir': { type: 'string', default: DEFAULT_STATE_DIR },
    },
  });
  const calls = Number(values.calls ?? (values.exit ? 1 : 2));
  if (!Number.isInteger(calls) || calls < 0 || calls > 500)
    throw FLAG_INVALID.with('--calls takes a whole number from 0 to 500');
  return {
    calls,
    exit: values.exit,
    json: values.json,
    poolFile: values.pool === undefined ? packageFile('examples/pool.yaml') : resolve(values.pool),
    stateDir: resolve(values['state-dir']),
  };
}

interface Run {
  options: DevOptions;
  stack: Stack;
  session: CallerSession;
  callers: readonly Caller[];
  io: Io;
  interrupted: Promise<void>;
}

async function runToEnd(run: Run & { say: (line: string) => void }): Promise<ExitCode> {
  const { options, session, callers, io, say } = run;
  const calls = Array.from({ length: options.calls }, async (_, index) => {
    await delay(index * STAGGER_MS);
    return session.run(callerFor(callers, index), say);
  });
  const done = await Promise.race([Promise.all(calls), run.interrupted.then(() => undefined)]);
  if (!done) return EXIT.error;
  const { counts, names } = await session.audit();
  for (const fault of KEY_FAULTS) for (const key of names[fault].slice(0, 5)) say(`key fault ${fault}: ${key}`);
  const { examples, ...sealing } = await session.verifySealing();
  for (const place of examples.slice(0, 5)) say(`stands in clear: ${place}`);
  const served = new Map<string, number>();
  for (const { worker } of done) served.set(worker, (served.get(worker) ?? 0) + 1);
  const report: Omit<DevReport, 'ok'> = {
    calls: done,
    workers: [...served].map(([id, count]) => ({ id, calls: count })),
    redis: { keysWithoutTtl: counts.withoutTtl, keyFaults: KEY_FAULTS.reduce((sum, fault) => sum + counts[fault], 0) },
    sealing,
    startedMs: Math.round(session.firstAnswerAtMs ?? 0),
  };
  const ok = isOk(report, options.calls);
  if (options.json) io.out(`${JSON.stringify({ ok, ...report })}\n`);
  else io.out(`${ok ? 'ok' : 'not ok'}: ${done.length} calls on ${served.size} workers\n`);
  return ok ? EXIT.ok : EXIT.degraded;
}

async function runUntilInterrupted(run: Run & { dir: StateDir }): Promise<void> {
  const { options, stack, session, callers, io, dir, interrupted } = run;
  let stopped = false;
  const over = interrupted.then(() => {
    stopped = true;
  });
  const screen = new Screen(io);
  for (let line = 0; line < options.calls; line++) void keepCalling(line);
  let auditedAtMs = Number.NEGATIVE_INFINITY;
  while (!stopped) {
    if (performance.now() - auditedAtMs > AUDIT_MS) {
      auditedAtMs = performance.now();
      // Redis may be away on purpose: the picture says so.
      await session.audit().catch(() => undefined);
    }
    screen.show(await takePicture(stack, dir, session, 0));
    await Promise.race([delay(PICTURE_MS), over]);
  }
  screen.end();

  async function keepCalling(line: number): Promise<void> {
    await delay(line * STAGGER_MS);
    for (let n = line; !stopped; n += options.calls) {
      try {
        await session.run(callerFor(callers, n), screen.note);
      } catch (error) {
        if (!stopped) screen.note(`a simulated call failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      await Promise.race([delay(PAUSE_BETWEEN_CALLS_MS), over]);
    }
  }
}

function callerFor(callers: readonly Caller[], n: number): Caller {
  const caller = callers[n % callers.length];
  if (!caller) throw FLAG_INVALID.with('examples/callers.yaml names no caller');
  return caller;
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once, and the next start cleans up. */
function interruption(): { promise: Promise<void>; release(): void } {
  let times = 0;
  let tell: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    tell = done;
  });
  const onSignal = () => {
    times += 1;
    if (times > 2) process.exit(130);
    tell();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    promise,
    release: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
