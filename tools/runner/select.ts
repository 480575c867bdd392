/** Tiers in the order they run: a broken unit explains a broken process test, not the other way round. */
export const TIERS = {
  /** Beside the code: one part of the product each, at the most with a Redis or a listener of its own. */
  unit: { timeoutMs: 120_000, alone: false },
  /** Under test/: start workers, controllers, whole local modes. */
  processes: { timeoutMs: 300_000, alone: true },
} as const;
export type Tier = keyof typeof TIERS;

export function tierOf(file: string): Tier {
  return file.startsWith('test/') ? 'processes' : 'unit';
}

export interface Selection {
  tier: Tier | undefined;
  /** A file is taken when its path holds any of them; none takes all. */
  filters: readonly string[];
}

export function parseArguments(args: readonly string[]): Selection {
  const filters: string[] = [];
  let tier: Tier | undefined;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--tier') {
      const name = rest.shift();
      if (name === undefined || !Object.hasOwn(TIERS, name)) {
        throw new Error(`--tier needs one of ${Object.keys(TIERS).join(', ')}`);
      }
      tier = name as Tier;
    } else if (arg.startsWith('-')) {
      throw new Error(
        `unknown option ${arg}; usage: npm test -- [--tier ${Object.keys(TIERS).join('|')}] [part of a path]...`,
      );
    } else filters.push(arg);
  }
  return { tier, filters };
}

/** The chosen test files of each tier; tiers without any are left out. */
export function select(files: readonly string[], { tier, filters }: Selection): { tier: Tier; files: string[] }[] {
  const chosen = files
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
  return (Object.keys(TIERS) as Tier[])
    .filter((name) => tier === undefined || tier === name)
    .map((name) => ({ tier: name, files: chosen.filter((file) => tierOf(file) === name) }))
    .filter((group) => group.files.length > 0);
}
