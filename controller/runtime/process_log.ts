import { copyFileSync, statSync, truncateSync } from 'node:fs';

const MAX_LOG_BYTES = 32 * 2 ** 20;

/**
 * Bounds a log that a running process appends to: its content moves to `<path>.1` and the file starts anew. The process holds the
 * file open in append mode, so it goes on at the new end; lines written between the two steps are lost.
 */
export function trimLog(path: string, maxBytes = MAX_LOG_BYTES): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}
