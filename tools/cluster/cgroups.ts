import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** With version 2 there is one tree for all controllers, with version 1 one for each. */
const UNIFIED = join(ROOT, 'cgroup.controllers');

function trees(): string[] {
  if (existsSync(UNIFIED)) return [ROOT];
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(ROOT, name));
}

/** Makes the group, `/a/b`, in every tree. A kubelet takes none that does not exist. */
export function makeCgroup(group: string): void {
  for (const tree of trees()) {
    const parts = group.split('/').filter((part) => part !== '');
    let folder = tree;
    for (const part of parts) {
      if (existsSync(UNIFIED)) delegateControllers(folder);
      folder = join(folder, part);
      mkdirSync(folder, { recursive: true });
      // A new cpuset has no processors and takes no process until it is told.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const from = join(dirname(folder), file);
        if (!existsSync(UNIFIED) && existsSync(from)) writeFileSync(join(folder, file), readFileSync(from));
      }
    }
  }
}

function delegateControllers(folder: string): void {
  const names = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ');
  writeFileSync(join(folder, 'cgroup.subtree_control'), names.map((name) => `+${name}`).join(' '));
}

/** Removes the group with those below it, which must have no process any more; true when nothing of it is left. */
export function removeCgroup(group: string): boolean {
  return trees()
    .map((tree) => removeTree(join(tree, group)))
    .every((gone) => gone);
}

function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  try {
    rmdirSync(folder);
    return true;
  } catch {
    // A process that is just ending holds it.
    return false;
  }
}
