import { fileURLToPath } from 'node:url';

/** Absolute path of a file that ships with the product (`crds/…`, `examples/…`): the build copies both beside the compiled sources. */
export function packageFile(relativePath: string): string {
  return fileURLToPath(new URL(`../${relativePath}`, import.meta.url));
}
