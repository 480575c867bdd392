import { parseArgs } from 'node:util';
import type { PoolRef } from '../contract/ids.ts';
import { systemClock } from '../platform/clock.ts';
import { writeBackup } from '../state/backup/backup.ts';
import { restoreBackup } from '../state/backup/restore.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { type FleetRedis, withFleetRedis } from './redis_stores.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `backup FILE`: every record of the fleet that cannot be made again, sealed as it is. */
export async function backup(args: string[], io: Io, env: Environment = process.env): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { 'with-cache': { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const [path] = positionals;
  if (path === undefined || positionals.length > 1) {
    io.err('usage: rtvoice backup FILE [--with-cache] [--json]\n');
    return EXIT.error;
  }
  const { entries } = await withFleetRedis(env, 'backup', (fleet) =>
    writeBackup({ ...fleet, ...leasesOf(fleet), clock: systemClock, path, withCache: values['with-cache'] }),
  );
  io.out(values.json ? `${JSON.stringify({ entries, file: path })}\n` : `${entries} entries are in ${path}\n`);
  return EXIT.ok;
}

/** `restore FILE`: into an empty Redis, or beside what is there. */
export async function restore(args: string[], io: Io, env: Environment = process.env): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { merge: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const [path] = positionals;
  if (path === undefined || positionals.length > 1) {
    io.err('usage: rtvoice restore FILE [--merge] [--json]\n');
    return EXIT.error;
  }
  const done = await withFleetRedis(env, 'restore', (fleet) =>
    restoreBackup({ ...fleet, ...leasesOf(fleet), path, merge: values.merge }),
  );
  if (values.json) io.out(`${JSON.stringify(done)}\n`);
  else {
    io.out(`${done.keys} keys were restored, ${done.kept} were there already\n`);
    io.out(`${done.unsentCalls} calls with records to archive were handed to the archivers\n`);
    io.out(`new calls of ${done.pools.join(', ') || 'no pool'} get fences above ${done.fenceFloor}\n`);
  }
  return EXIT.ok;
}

function leasesOf({ redis: client, keys }: FleetRedis) {
  return { leases: (pool: PoolRef) => new RedisLeaseTable({ client, keys, pool }) };
}
