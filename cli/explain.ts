import { parseArgs } from 'node:util';
import { addressOf, type ControllerAddress, controllerOptions } from './controller_address.ts';
import { askController } from './controller_api.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { table } from './table.ts';

interface ScaleDecision {
  kind: 'scale';
  pool: string;
  atMs: number;
  repeats: number;
  verdict: string;
  before: number;
  wanted: number;
  reason: string;
  terms: Record<string, unknown>;
}

interface VictimChoice {
  kind: 'victim';
  pool: string;
  atMs: number;
  worker: string;
  reason: string;
  candidates: { worker: string; ranks: Record<string, number> }[];
}

interface Candidate {
  worker: string;
  load: number;
  slots: number;
  heartbeatAgeMs: number;
  refusedBecause?: string;
}

interface Placement {
  atMs: number;
  strategy: string;
  candidates: Candidate[];
  refusals: { atMs: number; ringId: string; refusedTotal: number; candidates: Candidate[] }[];
}

const OPTIONS = {
  ...controllerOptions,
  pool: { type: 'string' },
  output: { type: 'string', short: 'o', default: 'text' },
} as const;
const USAGE = 'usage: rtvoice explain scale|placement [--pool NAME] [--namespace NAME] [-o json]\n';

/** `explain scale`: why there are as many workers as there are, and whom a drain was chosen over. `explain placement`: where the next call goes and why not elsewhere. */
export async function explain(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [topic, ...more] = positionals;
  if ((topic !== 'scale' && topic !== 'placement') || more.length > 0) return slip(io);
  const address = addressOf(values);
  const query = new URLSearchParams();
  if (values.pool !== undefined) query.set('pool', values.pool);
  if (values.namespace !== undefined) query.set('namespace', values.namespace);
  const path = `/explain/${topic}?${query}`;
  return topic === 'scale' ? scale(address, path, values.output, io) : placement(address, path, values.output, io);
}

async function scale(address: ControllerAddress, path: string, output: string, io: Io): Promise<ExitCode> {
  const answer = await askController<{ decisions: (ScaleDecision | VictimChoice)[] }>(address, 'GET', path);
  if (output === 'json') io.out(`${JSON.stringify(answer)}\n`);
  else io.out(`${answer.decisions.map(describe).join('\n') || 'nothing was decided yet'}\n`);
  return EXIT.ok;
}

async function placement(address: ControllerAddress, path: string, output: string, io: Io): Promise<ExitCode> {
  const answer = await askController<Placement>(address, 'GET', path);
  if (output === 'json') {
    io.out(`${JSON.stringify(answer)}\n`);
    return EXIT.ok;
  }
  io.out(`a call placed now (${answer.strategy}):\n${rows(answer.candidates)}`);
  for (const refusal of answer.refusals) {
    io.out(`\nrefused at ${time(refusal.atMs)}, the ${refusal.refusedTotal}. of the pool, ring ${refusal.ringId}:\n`);
    io.out(rows(refusal.candidates));
  }
  return EXIT.ok;
}

function rows(candidates: readonly Candidate[]): string {
  if (candidates.length === 0) return 'no worker is known to Redis\n';
  const first = candidates.findIndex(({ refusedBecause }) => refusedBecause === undefined);
  return table(
    ['WORKER', 'LOAD', 'SLOTS', 'HEARTBEAT', 'VERDICT'],
    candidates.map(({ worker, load, slots, heartbeatAgeMs, refusedBecause }, at) => [
      worker,
      String(load),
      String(slots),
      heartbeatAgeMs > 3_600_000 ? 'never' : `${(heartbeatAgeMs / 1000).toFixed(1)} s ago`,
      refusedBecause ?? (at === first ? 'chosen' : 'open'),
    ]),
  );
}

function describe(entry: ScaleDecision | VictimChoice): string {
  if (entry.kind === 'victim') {
    const others = entry.candidates
      .slice(0, 5)
      .map(({ worker, ranks }) => `    ${worker}: ${terms(ranks)}`)
      .join('\n');
    return `${time(entry.atMs)} ${entry.pool} drains ${entry.worker}: ${entry.reason}\n${others}`;
  }
  const times = entry.repeats > 0 ? `, ${entry.repeats + 1} times` : '';
  const change = entry.before === entry.wanted ? `stays at ${entry.wanted}` : `${entry.before} -> ${entry.wanted}`;
  return `${time(entry.atMs)} ${entry.pool} ${entry.verdict} (${change}${times}): ${entry.reason}\n    ${terms(entry.terms)}`;
}

function terms(values: Record<string, unknown>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0))
    .map(
      ([name, value]) => `${name}=${typeof value === 'number' ? Math.round(value * 100) / 100 : JSON.stringify(value)}`,
    )
    .join(' ');
}

const time = (unixMs: number): string => new Date(unixMs).toISOString();

function slip(io: Io): ExitCode {
  io.err(`rtvoice: explain needs scale or placement\n${USAGE}`);
  return EXIT.error;
}
