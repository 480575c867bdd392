import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Runs `work` while no other process holds the lock `file`. The kernel lets it go however the holder ends, so that a lock is never stale.
 * `waiting` is called once, when another one holds it.
 */
export async function withLock<T>(file: string, waiting: () => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  // `cat` ends with our end of the pipe: when we are killed as well.
  const script = `flock -n 9 || { echo wait; flock 9; }; echo held; exec cat 9>&9`;
  const holder = spawn('sh', ['-c', `exec 9>"$1"; ${script}`, 'sh', file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'close');
  try {
    let text = '';
    for await (const chunk of holder.stdout) {
      const before = text;
      text += String(chunk);
      if (text.includes('wait') && !before.includes('wait')) waiting();
      if (text.includes('held')) break;
    }
    if (!text.includes('held')) throw new Error(`flock is needed to lock ${file} (package util-linux)`);
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
