import type { ContainerDefinition, CosmosClient, Database } from '@azure/cosmos';
import {
  CONTAINER_SPECS,
  type ContainerName,
  type ContainerSpec,
  containerRequest,
  indexingPolicy,
} from './containers.ts';
import { COSMOS_CONTAINER_MISMATCH, COSMOS_SETUP_DENIED, statusOf } from './errors.ts';

/** One way in which a container is not as it is wanted. */
export interface Difference {
  readonly what: string;
  /** `mendable`: can be changed in place. `fixed`: cannot, but documents are taken. `unusable`: documents would be refused. */
  readonly severity: 'mendable' | 'fixed' | 'unusable';
}

export interface ContainerReport {
  readonly name: ContainerName;
  readonly outcome: 'created' | 'equal' | 'mended' | 'missing' | 'different';
  readonly differences: readonly Difference[];
}

export interface SetupReport {
  readonly database: string;
  readonly databaseOutcome: 'created' | 'found' | 'missing';
  readonly containers: readonly ContainerReport[];
}

export interface SetupOptions {
  /** Changes nothing. */
  check?: boolean;
  /** Changes containers that differ; default true. Workers leave that to people: they only need what is there to fit. */
  mend?: boolean;
  only?: readonly ContainerName[];
}

/** Rounds of "somebody else was quicker"; each round finds more of it there. */
const RACES = 5;
const ETAG_PATH = '/"_etag"/?';

/**
 * Makes the database and its containers as code wants them. Safe to repeat and to run from many places at once. With `check`
 * nothing is changed. Rejects with ERR_COSMOS_SETUP_DENIED when this identity may not create or change them.
 */
export async function setUp(client: CosmosClient, name: string, options: SetupOptions = {}): Promise<SetupReport> {
  const specs = CONTAINER_SPECS.filter(({ id }) => options.only?.includes(id) ?? true);
  const way = { check: options.check ?? false, mend: options.mend ?? true };
  try {
    const databaseOutcome = await databaseThere(client, name, way.check);
    const containers: ContainerReport[] = [];
    for (const spec of specs) {
      containers.push(
        databaseOutcome === 'missing'
          ? { name: spec.id, outcome: 'missing', differences: [] }
          : await containerThere(client.database(name), spec, way),
      );
    }
    return { database: name, databaseOutcome, containers };
  } catch (error) {
    if (statusOf(error) !== 403) throw error;
    throw COSMOS_SETUP_DENIED.with(`database ${name}, containers ${specs.map(({ id }) => id).join(', ')}`, error);
  }
}

/** Throws ERR_COSMOS_CONTAINER_MISMATCH, which names every difference of the given severities. */
export function refuse(report: SetupReport, severities: readonly Difference['severity'][]): void {
  const fatal = report.containers.flatMap(({ name, differences }) =>
    differences.filter(({ severity }) => severities.includes(severity)).map(({ what }) => `${name}: ${what}`),
  );
  if (fatal.length > 0) throw COSMOS_CONTAINER_MISMATCH.with(fatal.join('; '));
}

async function databaseThere(
  client: CosmosClient,
  name: string,
  check: boolean,
): Promise<SetupReport['databaseOutcome']> {
  if (await found(client.database(name).read())) return 'found';
  if (check) return 'missing';
  try {
    await client.databases.create({ id: name });
    return 'created';
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
    return 'found';
  }
}

async function containerThere(
  database: Database,
  spec: ContainerSpec,
  { check, mend }: { check: boolean; mend: boolean },
): Promise<ContainerReport> {
  const container = database.container(spec.id);
  for (let race = 0; ; race++) {
    const stored = await found(container.read());
    if (stored) {
      const differences = differencesOf(stored, spec);
      if (differences.length === 0) return { name: spec.id, outcome: 'equal', differences };
      if (check || !mend || differences.some(({ severity }) => severity !== 'mendable'))
        return { name: spec.id, outcome: 'different', differences };
      await container.replace({ ...stored, defaultTtl: spec.defaultTtl, indexingPolicy: indexingPolicy(spec) });
      return { name: spec.id, outcome: 'mended', differences };
    }
    if (check) return { name: spec.id, outcome: 'missing', differences: [] };
    try {
      await database.containers.create(containerRequest(spec));
      return { name: spec.id, outcome: 'created', differences: [] };
    } catch (error) {
      if (statusOf(error) !== 409 || race >= RACES) throw error;
    }
  }
}

/** What differs between a container as the service tells it and as it is wanted. */
export function differencesOf(stored: ContainerDefinition, spec: ContainerSpec): Difference[] {
  const differences: Difference[] = [];
  const compare = (what: string, has: string, wants: string, severity: Difference['severity']) => {
    if (has !== wants)
      differences.push({ what: `${what} is ${has || 'not set'}, wanted ${wants || 'none'}`, severity });
  };
  compare('partition key', (stored.partitionKey?.paths ?? []).join(','), spec.partitionKey.paths.join(','), 'unusable');
  compare('unique keys', uniqueText(stored.uniqueKeyPolicy?.uniqueKeys), uniqueText(wantedUnique(spec)), 'fixed');
  compare('default TTL', String(stored.defaultTtl ?? 'off'), String(spec.defaultTtl), 'mendable');
  const { indexingMode, includedPaths, excludedPaths } = stored.indexingPolicy ?? {};
  compare('indexing mode', String(indexingMode ?? 'consistent').toLowerCase(), 'consistent', 'mendable');
  compare('indexed paths', pathText(includedPaths), pathText(indexingPolicy(spec).includedPaths), 'mendable');
  compare('excluded paths', pathText(excludedPaths), pathText(indexingPolicy(spec).excludedPaths), 'mendable');
  return differences;
}

const wantedUnique = (spec: ContainerSpec) => spec.uniqueKeys.map((paths) => ({ paths: [...paths] }));

function uniqueText(keys: readonly { paths: string[] }[] | undefined): string {
  return (keys ?? [])
    .map(({ paths }) => [...paths].sort().join('+'))
    .sort()
    .join(',');
}

function pathText(paths: readonly { path?: string }[] | undefined): string {
  return (paths ?? [])
    .map(({ path }) => path ?? '')
    .filter((path) => path !== ETAG_PATH)
    .sort()
    .join(',');
}

/** The resource, or undefined when it is not there. */
async function found<T>(reading: Promise<{ resource?: T | undefined }>): Promise<T | undefined> {
  try {
    return (await reading).resource;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
