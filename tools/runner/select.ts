/** Tiers in the order they run: a broken unit explains a broken process test, not the other way round. `atOnce`: test files at the same time. */
export const TIERS = {
  /** Beside the code: one part of the product each, at the most with a Redis or a listener of its own. */
  unit: { timeoutMs: 120_000, atOnce: 'cores' },
  /** Under test/wire: one end of a protocol against a scripted other end. */
  wire: { timeoutMs: 300_000, atOnce: 'half' },
  /** Under test/edge: HAProxy with the configuration of deploy/edge, in front of real workers. */
  edge: { timeoutMs: 300_000, atOnce: 'half' },
  /** Under test/: start workers, controllers, whole local modes. They measure time-outs of their own, and starve each other when they share two cores. */
  processes: { timeoutMs: 300_000, atOnce: 'half' },
  /** Under test/api: against a real API server without nodes; needs programs that Go builds once. */
  api: { timeoutMs: 300_000, atOnce: 2 },
  /** Under test/e2e: in a real cluster of two nodes; needs root and packages of Debian as well. Two at once on two cores start so many workers that limits pass. */
  e2e: { timeoutMs: 1_200_000, atOnce: 1 },
} as const;
export type Tier = keyof typeof TIERS;

/** Folders that are a tier of their own. Those under test/kind need Docker, and are run by hand or by CI alone. */
const FOLDERS: readonly [folder: string, tier: Tier | undefined][] = [
  ['test/wire/', 'wire'],
  ['test/edge/', 'edge'],
  ['test/api/', 'api'],
  ['test/e2e/', 'e2e'],
  ['test/kind/', undefined],
  ['test/', 'processes'],
];

/** Undefined for a file that no tier runs. */
export function tierOf(file: string): Tier | undefined {
  const found = FOLDERS.find(([folder]) => file.startsWith(folder));
  return found ? found[1] : 'unit';
}

export function filesAtOnce(tier: Tier, cores: number): number {
  const { atOnce } = TIERS[tier];
  if (atOnce === 'cores') return cores;
  return atOnce === 'half' ? Math.max(1, Math.floor(cores / 2)) : atOnce;
}

export interface Selection {
  tier: Tier | undefined;
  /** A file is taken when its path holds any of them; none takes all. */
  filters: readonly string[];
  /** Everything is run so often, one run after the other. */
  times: number;
}

const TIMES_MAX = 100;

export function parseArguments(args: readonly string[]): Selection {
  const filters: string[] = [];
  let tier: Tier | undefined;
  let times = 1;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--tier') {
      const name = rest.shift();
      if (name === undefined || !Object.hasOwn(TIERS, name)) {
        throw new Error(`--tier needs one of ${Object.keys(TIERS).join(', ')}`);
      }
      tier = name as Tier;
    } else if (arg === '--times') {
      times = Number(rest.shift());
      if (!Number.isInteger(times) || times < 1 || times > TIMES_MAX) {
        throw new Error(`--times needs a whole number from 1 to ${TIMES_MAX}`);
      }
    } else if (arg.startsWith('-')) {
      throw new Error(
        `unknown option ${arg}; usage: npm test -- [--tier ${Object.keys(TIERS).join('|')}] [--times N] [part of a path]...`,
      );
    } else filters.push(arg);
  }
  return { tier, filters, times };
}

/** The chosen test files of each tier; tiers without any are left out. */
export function select(
  files: readonly string[],
  { tier, filters }: Pick<Selection, 'tier' | 'filters'>,
): { tier: Tier; files: string[] }[] {
  const chosen = files
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
  return (Object.keys(TIERS) as Tier[])
    .filter((name) => tier === undefined || tier === name)
    .map((name) => ({ tier: name, files: chosen.filter((file) => tierOf(file) === name) }))
    .filter((group) => group.files.length > 0);
}
