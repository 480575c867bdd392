import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../../platform/free_port.ts';
import type { Reading } from './server_figures.ts';
import type { Generator } from './toolchain.ts';

export interface Variant {
  name: string;
  /** Arguments after the interpreter; a server that speaks our figures protocol gets none more, others get the port. */
  command: string[];
  kind: 'node' | 'process';
  /** `echo`: one frame at once for each; `paced`: as many, by the playback clock. */
  answers: 'echo' | 'paced';
}

export interface Bench {
  generator: Generator;
  pin: (core: 0 | 1, command: string[]) => string[];
  warmSeconds: number;
  measureSeconds: number;
}

export interface Trial {
  variant: string;
  calls: number;
  /** Microseconds of server CPU per frame in and frame out. */
  usPerFrame: number;
  cpu: number;
  /** Frames the generator should have sent, did send, and got an answer for. */
  due: number;
  sent: number;
  answered: number;
  starved: number;
  p99Us: number;
  generatorCpu: number;
  framesOutPerIn: number;
  speechShare: number;
  utterances: number;
  loopP99Ms: number;
}

interface GeneratorResult {
  due: number;
  sent: number;
  received: number;
  starved: number;
  p50Us: number;
  p99Us: number;
  generatorCpu: number;
}

/** One server and one generator for a few seconds; undefined when either gave up. */
export async function runTrial(bench: Bench, variant: Variant, calls: number): Promise<Trial | undefined> {
  const server = await startServer(bench, variant);
  try {
    const command = bench.pin(1, [
      bench.generator.program,
      String(server.port),
      String(calls),
      String(bench.warmSeconds),
      String(bench.measureSeconds),
      bench.generator.frames,
    ]);
    const window = await driveGenerator(command, server.read);
    return window && toTrial(variant, calls, window);
  } finally {
    await server.stop();
  }
}

interface Window {
  before: Reading;
  after: Reading;
  result: GeneratorResult;
}

async function driveGenerator(command: string[], read: () => Promise<Reading>): Promise<Window | undefined> {
  const [program, ...args] = command as [string, ...string[]];
  const generator = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  let before: Promise<Reading> | undefined;
  let after: Promise<Reading | undefined> | undefined;
  generator.stdout.on('data', (chunk) => {
    out += chunk;
    if (!before && out.includes('START')) before = read();
    // the generator may end, and with it the sockets, before the server answers
    if (!after && out.includes('END')) after = read().catch(() => undefined);
  });
  const [code] = await once(generator, 'close');
  const line = out.split('\n').find((text) => text.startsWith('{'));
  const [first, last] = [await before, await after];
  return code === 0 && line && first && last ? { before: first, after: last, result: JSON.parse(line) } : undefined;
}

function toTrial(variant: Variant, calls: number, { before, after, result }: Window): Trial {
  const cpuMs = after.cpuUserMs + after.cpuSystemMs - before.cpuUserMs - before.cpuSystemMs;
  // a server that keeps no count of its own has answered what the generator took
  const framesIn = variant.kind === 'node' ? after.framesIn - before.framesIn : result.received;
  const framesOut = variant.kind === 'node' ? after.framesOut - before.framesOut : result.received;
  return {
    variant: variant.name,
    calls,
    // one in and one out: what only came in, or only went out from a queue, is not yet a whole frame
    usPerFrame: (cpuMs * 1000) / Math.max(1, Math.min(framesIn, framesOut)),
    cpu: cpuMs / (after.atMs - before.atMs),
    due: result.due,
    sent: result.sent,
    answered: variant.answers === 'echo' ? result.received : Math.min(result.received, framesIn),
    starved: variant.answers === 'echo' ? 0 : result.starved,
    p99Us: result.p99Us,
    generatorCpu: result.generatorCpu,
    framesOutPerIn: framesOut / Math.max(1, framesIn),
    speechShare: (after.speechFrames - before.speechFrames) / Math.max(1, framesIn),
    utterances: after.utterances - before.utterances,
    loopP99Ms: after.loopP99Ms,
  };
}

const NOTHING_READ: Reading = {
  framesIn: 0,
  framesOut: 0,
  speechFrames: 0,
  utterances: 0,
  loopP99Ms: 0,
  atMs: 0,
  cpuUserMs: 0,
  cpuSystemMs: 0,
};

interface Server {
  port: number;
  read(): Promise<Reading>;
  stop(): Promise<void>;
}

async function startServer(bench: Bench, variant: Variant): Promise<Server> {
  if (variant.kind === 'process') return startProcess(bench, variant);
  const [program, ...args] = bench.pin(0, variant.command) as [string, ...string[]];
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  let reading: Promise<Reading> = Promise.resolve(NOTHING_READ);
  return {
    port,
    read() {
      // one question at a time: a server that is slow to answer the first must not have its answer taken for the second
      reading = reading.then(async () => {
        const answer = once(child, 'message');
        child.send('read');
        return (await answer)[0] as Reading;
      });
      return reading;
    },
    stop: () => ended(child, () => child.disconnect()),
  };
}

/** A server in another language: its CPU comes from /proc, in ticks of 10 ms. */
async function startProcess(bench: Bench, variant: Variant): Promise<Server> {
  const port = await freePort();
  const [program, ...args] = bench.pin(0, [...variant.command, String(port)]) as [string, ...string[]];
  const child = spawn(program, args, { stdio: 'ignore' });
  await accepting(port);
  return {
    port,
    async read() {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const [cpuUserMs, cpuSystemMs] = [Number(fields[11]) * 10, Number(fields[12]) * 10];
      return { ...NOTHING_READ, atMs: performance.now(), cpuUserMs, cpuSystemMs };
    },
    stop: () => ended(child, () => child.kill('SIGTERM')),
  };
}

async function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  end();
  const impatient = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exit;
  clearTimeout(impatient);
}

async function accepting(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await wait(100);
  }
  throw new Error(`nothing listens on port ${port} after 10 s`);
}
