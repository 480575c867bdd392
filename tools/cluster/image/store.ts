import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock } from '../lock.ts';
import { PROGRAM_PATH } from '../packages.ts';
import { IMAGES } from '../paths.ts';
import { endProcess, spawnServer } from '../processes.ts';
import { run, succeeds } from './run.ts';

/** Files of containerd that change while it runs; all others are written once, and then only removed. */
const DATABASES = ['io.containerd.metadata.v1.bolt/meta.db', 'io.containerd.snapshotter.v1.overlayfs/metadata.db'];
const START_TRIES = 300;

/** A root folder of containerd into which these archives have been imported, made once: a node links its files instead of unpacking them itself. */
export async function imageStore(archives: readonly string[], say: (line: string) => void): Promise<string> {
  const parts = archives.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  const store = join(IMAGES, `store-${key}`);
  return withLock(
    `${store}.lock`,
    () => say('waiting for another import of the images'),
    async () => {
      const now = new Date();
      if (!existsSync(store)) {
        say('importing the images (once for each change)');
        await fill(store, archives);
      }
      utimesSync(store, now, now);
      return store;
    },
  );
}

/** False when it cannot be linked, such as from another disk. */
export function linkStore(store: string, root: string): boolean {
  try {
    run('cp', ['-al', store, root]);
    for (const file of DATABASES) {
      rmSync(join(root, file));
      run('cp', ['-a', join(store, file), join(root, file)]);
    }
    return true;
  } catch {
    rmSync(root, { recursive: true, force: true });
    return false;
  }
}

async function fill(store: string, archives: readonly string[]): Promise<void> {
  const fresh = `${store}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), 'rtvoice-store-'));
  const socket = join(scratch, 'c.sock');
  writeFileSync(join(scratch, 'config.toml'), configuration(fresh, scratch, socket));
  // Its mounts go with its namespace.
  const args = ['--mount', 'containerd', '--config', join(scratch, 'config.toml')];
  const server = spawnServer('unshare', args, join(scratch, 'log'), { PATH: PROGRAM_PATH });
  try {
    for (let tries = 1; !succeeds('ctr', ['-a', socket, 'version']); tries++) {
      if (tries > START_TRIES) throw new Error(`containerd does not start: ${run('tail', [join(scratch, 'log')])}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const archive of archives) run('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', archive]);
  } finally {
    await endProcess(server, 'SIGTERM');
    rmSync(scratch, { recursive: true, force: true });
  }
  renameSync(fresh, store);
}

function configuration(root: string, scratch: string, socket: string): string {
  return `version = 2
root = "${root}"
state = "${join(scratch, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(scratch, 'opt')}"
`;
}
