import { buildBinaries } from './binaries.ts';
import { Obstacle } from './obstacle.ts';
import { CLUSTER_PACKAGES, ensurePackages } from './packages.ts';

/** Makes what a cluster is started from; throws an Obstacle when it cannot be had here. */
export async function prepareCluster(say: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Obstacle('a cluster needs root: it makes namespaces, mounts and control groups');
  ensurePackages(say, CLUSTER_PACKAGES);
  await buildBinaries(say);
}
