import { parseArgs } from 'node:util';

const USAGE = `usage: npm run bench -- <placement|media|state|controller> [--workers N] [--pools N] [--source heartbeat|metrics] [--json]

placement  how fast calls are placed, against bare scripts on the same redis-server
media      what a media frame costs, against a raw echo of the same bytes
state      what a checkpoint costs a worker, against a bare script call of the same bytes
controller what a controller of many pools costs, on a real API server (needs Go once)
`;

/** Benchmarks compare two things within one run on one machine: only the ratios mean anything elsewhere. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      workers: { type: 'string', default: '1000' },
      pools: { type: 'string', default: '1000' },
      source: { type: 'string', default: 'heartbeat' },
      json: { type: 'boolean', default: false },
    },
  });
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 100 || workers > 20_000) {
    process.stderr.write('--workers must be a whole number from 100 to 20000\n');
    return 2;
  }
  switch (positionals[0]) {
    case 'placement':
      await (await import('./placement.ts')).runPlacement({ workers, json: values.json });
      return 0;
    case 'state':
      await (await import('./state.ts')).runState({ json: values.json });
      return 0;
    case 'controller':
      return controller(Number(values.pools), values.source, values.json);
    case 'media':
      await (await import('./media.ts')).runMedia({ json: values.json });
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

async function controller(pools: number, source: string, json: boolean): Promise<number> {
  const sources = { heartbeat: 'Heartbeat', metrics: 'Metrics' } as const;
  if (!Number.isInteger(pools) || pools < 1 || pools > 2_000 || !Object.hasOwn(sources, source)) {
    process.stderr.write('--pools must be a whole number from 1 to 2000, --source heartbeat or metrics\n');
    return 2;
  }
  const { runController } = await import('./controller.ts');
  await runController({ pools, source: sources[source as keyof typeof sources], json });
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
}
