import { readdirSync, readFileSync } from 'node:fs';
import { identify, type ProcessIdentity } from '../../platform/processes.ts';

/** Linux reports start times in USER_HZ, which is 100 on every architecture that Node supports. */
const TICKS_PER_SECOND = 100;

/** Milliseconds since the process started, from the machine's own uptime. */
export function ageMs(process: ProcessIdentity): number {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return Math.max(0, (uptimeSeconds - process.startTicks / TICKS_PER_SECOND) * 1000);
}

/** Finds a process of this user by one variable of its environment: for a child whose parent died before it could note the pid. */
export function findByEnvironment(name: string, value: string): ProcessIdentity | undefined {
  const wanted = `${name}=${value}`;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0').includes(wanted)) return identify(Number(entry));
    } catch {
      // Another user's process, or one that has just ended: not ours either way.
    }
  }
  return undefined;
}
