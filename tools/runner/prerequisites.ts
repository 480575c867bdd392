import type { Tier } from './select.ts';

type Say = (line: string) => void;

/** Programs that tests of the api tier start. */
const API_PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kwok'];

/** The parts of the cluster are loaded only for the tiers that need them. */
const PREPARE: Partial<Record<Tier, (say: Say) => Promise<void>>> = {
  async edge(say) {
    const { EDGE_PACKAGES, ensurePackages } = await import('../cluster/packages.ts');
    ensurePackages(say, EDGE_PACKAGES);
  },
  async api(say) {
    const { buildBinaries } = await import('../cluster/binaries.ts');
    // For root the e2e tier comes next and needs the others; a build of its own would start from nothing.
    await buildBinaries(say, process.getuid?.() === 0 ? undefined : API_PROGRAMS);
  },
  async e2e(say) {
    // A cluster that is there already, with its images.
    if (process.env.RTVOICE_E2E_KUBECONFIG !== undefined) return;
    const { prepareCluster } = await import('../cluster/prepare.ts');
    await prepareCluster(say);
    const { BUILT_VARIABLE, buildImages, pauseImage } = await import('../cluster/image/build.ts');
    await pauseImage();
    process.env[BUILT_VARIABLE] = JSON.stringify(await buildImages(say));
  },
};

/** Makes what the tests of the tier need. What this machine lacks comes back as one line, and they cannot run; a fault is thrown. */
export async function prepare(tier: Tier, say: Say): Promise<string | undefined> {
  try {
    await PREPARE[tier]?.(say);
    return undefined;
  } catch (error) {
    if (error instanceof Error && error.name === 'Obstacle') return error.message.split('\n', 1)[0];
    throw error;
  }
}
