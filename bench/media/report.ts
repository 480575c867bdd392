import { type Capacity, type Comparison, median } from './measure.ts';
import type { Trial } from './trial.ts';
import { DESCRIPTIONS } from './variants.ts';

export interface MediaResult {
  /** Paired at 1,000 calls, base raw. */
  atLoad: Comparison;
  /** Each peer paired with ours, base full; undefined when the peer is missing here. */
  peers: Map<string, Comparison | undefined>;
  capacities: Map<string, Capacity | undefined>;
  notes: string[];
}

const TARGETS: readonly { name: string; holds: (result: Ratios) => boolean | undefined; text: string }[] = [
  { name: 'codec/raw', text: '<= 1.35', holds: (r) => bound(r.ratios['codec/raw'], (v) => v <= 1.35) },
  { name: 'full/raw', text: '<= 1.6', holds: (r) => bound(r.ratios['full/raw'], (v) => v <= 1.6) },
  { name: 'calls per core, full / wsJson', text: '>= 2', holds: (r) => bound(times(r, 'wsJson'), (v) => v >= 2) },
  { name: 'calls per core, full / fastapi', text: '>= 3.5', holds: (r) => bound(times(r, 'fastapi'), (v) => v >= 3.5) },
];

export interface Ratios {
  ratios: Record<string, number | null>;
  callsPerCore: Record<string, number | null>;
  variants: Record<string, unknown>;
  notes: string[];
}

/** The `--json` document: ratios of CPU per frame, calls per core, and what each variant measured (medians). */
export function toJson({ atLoad, peers, capacities, notes }: MediaResult): Ratios {
  const ratios: Record<string, number | null> = {};
  for (const name of ['codec', 'full', 'fullSingleWrites', 'json'])
    ratios[`${name}/raw`] = rounded(atLoad.ratios.get(name));
  for (const [name, comparison] of peers) ratios[`${name}/full`] = rounded(comparison?.ratios.get(name));
  const callsPerCore: Record<string, number | null> = {};
  for (const [name, capacity] of capacities) callsPerCore[name] = capacity?.calls || null;
  const variants: Record<string, unknown> = {};
  for (const [name, trials] of atLoad.trials) variants[name] = summary(trials, atLoad.calls);
  for (const [name, comparison] of peers) {
    if (!comparison) continue;
    variants[name] = summary(comparison.trials.get(name) ?? [], comparison.calls);
    variants[`full@${comparison.calls}`] = summary(comparison.trials.get('full') ?? [], comparison.calls);
  }
  for (const [name, capacity] of capacities) {
    if (capacity?.trial)
      variants[`${name}@max`] = { ...summary([capacity.trial], capacity.calls), heldInTime: capacity.held };
  }
  return { ratios, callsPerCore, variants, notes };
}

export function toTable(result: MediaResult): string {
  const json = toJson(result);
  const lines = [
    `CPU of the server per frame in and out, ${result.atLoad.calls} calls, 50 frames a second each (medians of interleaved rounds)`,
  ];
  lines.push(row('variant', 'us/frame', 'x raw', 'cpu %', 'answered', 'out/in', 'in speech'));
  for (const [name, trials] of result.atLoad.trials) lines.push(trialRow(name, trials, result.atLoad.ratios.get(name)));
  for (const [name, comparison] of result.peers) {
    if (!comparison) continue;
    lines.push(
      '',
      `${name} at ${comparison.calls} calls, paired with ours`,
      row('variant', 'us/frame', 'x full', 'cpu %', 'answered', 'out/in', 'in speech'),
    );
    for (const [variant, trials] of comparison.trials)
      lines.push(trialRow(variant, trials, comparison.ratios.get(variant)));
  }
  lines.push('', 'Calls that fill 95 % of one core, by CPU per frame near that load');
  for (const [name, capacity] of result.capacities) lines.push(capacityRow(name, capacity));
  lines.push('', 'Targets');
  for (const { name, text, holds } of TARGETS)
    lines.push(`  ${name.padEnd(32)} ${text.padEnd(8)} ${verdict(holds(json))}`);
  if (result.notes.length > 0) lines.push('', ...result.notes.map((note) => `note: ${note}`));
  lines.push('', ...Object.entries(DESCRIPTIONS).map(([name, text]) => `${name.padEnd(17)} ${text}`));
  return `${lines.join('\n')}\n`;
}

function summary(trials: readonly Trial[], calls: number): Record<string, number | null> {
  const of = (value: (trial: Trial) => number) => rounded(median(trials.map(value)));
  return {
    calls,
    rounds: trials.length,
    usPerFrame: of((trial) => trial.usPerFrame),
    cpuPercent: of((trial) => trial.cpu * 100),
    answeredShare: of((trial) => trial.answered / trial.due),
    framesOutPerIn: of((trial) => trial.framesOutPerIn),
    speechShare: of((trial) => trial.speechShare),
    echoP99Ms: of((trial) => trial.p99Us / 1000),
    generatorCpuPercent: of((trial) => trial.generatorCpu * 100),
  };
}

function trialRow(name: string, trials: readonly Trial[], ratio: number | undefined): string {
  const of = (value: (trial: Trial) => number) => median(trials.map(value));
  return row(
    name,
    of((trial) => trial.usPerFrame).toFixed(2),
    (ratio ?? Number.NaN).toFixed(2),
    (of((trial) => trial.cpu) * 100).toFixed(0),
    of((trial) => trial.answered / trial.due).toFixed(3),
    of((trial) => trial.framesOutPerIn).toFixed(2),
    of((trial) => trial.speechShare).toFixed(2),
  );
}

function capacityRow(name: string, capacity: Capacity | undefined): string {
  if (!capacity) return `  ${name.padEnd(17)} not measured`;
  const { calls, trial, held } = capacity;
  if (!trial) return `  ${name.padEnd(17)} no trial ended`;
  const at = `measured at ${trial.calls} calls, ${(trial.cpu * 100).toFixed(0)} % of the core`;
  return `  ${name.padEnd(17)} ${String(calls).padStart(5)}  ${at}${held ? ', all frames in time' : ''}`;
}

const row = (name: string, ...cells: string[]): string =>
  `  ${name.padEnd(17)}${cells.map((cell) => cell.padStart(10)).join('')}`;
const rounded = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : Math.round(value * 1000) / 1000;
const bound = (value: number | null | undefined, holds: (value: number) => boolean): boolean | undefined =>
  value === null || value === undefined ? undefined : holds(value);
const verdict = (holds: boolean | undefined): string =>
  holds === undefined ? 'not measured' : holds ? 'held' : 'MISSED';

function times(result: Ratios, peer: string): number | null {
  const { full, [peer]: other } = result.callsPerCore;
  return full && other ? full / other : null;
}
