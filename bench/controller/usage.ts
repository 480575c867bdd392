import { readFileSync } from 'node:fs';

/** Of Linux; every machine that this runs on has it so. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

/** Processor time of a process until now, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
}

/** Percent of one core that the process used while `seconds` passed. */
export async function cpuPercent(pid: number, seconds: number): Promise<number> {
  const [before, startMs] = [cpuSeconds(pid), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return (100 * (cpuSeconds(pid) - before)) / ((performance.now() - startMs) / 1000);
}
