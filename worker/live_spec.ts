import { unwatchFile, watchFile } from 'node:fs';
import { type PoolSpec, readPool } from '../contract/pool.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';

const CHECK_MS = 1_000;

/**
 * Follows the pool document for what takes effect on a running worker: slots and placement. Everything else belongs to the revision, and a
 * change of it rolls the workers. Gives what stops it.
 */
export function followPool(file: string, spec: PoolSpec, log: Log): () => void {
  const listener = () => {
    try {
      const { slotsPerWorker, placement } = readPool(file, { onUnknown: () => undefined }).spec;
      Object.assign(spec, { slotsPerWorker, placement });
      log.info({ slotsPerWorker, strategy: placement.strategy }, 'the pool document changed');
    } catch (error) {
      // The controller checks a document before it writes it; what cannot be read now is read at the next change.
      log.warn({ code: errorCode(error) }, 'the pool document cannot be read; going on with what is known');
    }
  };
  watchFile(file, { interval: CHECK_MS, persistent: false }, listener);
  return () => unwatchFile(file, listener);
}
