import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** Paths below `folder` that `base` lacks or has otherwise, sorted; times do not count. What only `base` has is not seen. */
export function difference(folder: string, base: string, below = '.'): string[] {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap((name) => {
      const path = join(below, name);
      const here = lstatSync(join(folder, path));
      const there = lstatSync(join(base, path), { throwIfNoEntry: false });
      const inside = here.isDirectory() ? difference(folder, base, path) : [];
      return there && same(folder, base, path, here, there) ? inside : [path, ...inside];
    });
}

function same(folder: string, base: string, path: string, here: Stats, there: Stats): boolean {
  if (here.mode !== there.mode || here.uid !== there.uid || here.gid !== there.gid) return false;
  const [one, other] = [join(folder, path), join(base, path)];
  if (here.isSymbolicLink()) return readlinkSync(one) === readlinkSync(other);
  if (here.isFile()) return here.size === there.size && readFileSync(one).equals(readFileSync(other));
  return true;
}
