import { fileURLToPath } from 'node:url';

/** Path of another program of the product: `.ts` when run from sources, `.js` when built. */
export function entry(
  name: 'controller/main' | 'simulators/main' | 'worker/main' | 'controller/runtime/front_main',
): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`../${name}${extension}`, import.meta.url));
}
