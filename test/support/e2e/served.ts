import { until } from '../calls_worker.ts';
import type { Kubectl } from './kubectl.ts';

/** Resolves when the API server answers again. */
export function untilServed(kubectl: Kubectl): Promise<void> {
  const ready = async () => (await kubectl.attempt(['get', '--raw', '/readyz'], { limitMs: 5_000 })).code === 0;
  return until(ready, 'the API server answers', 60_000);
}
