import type { LegacyEntry, LegacyExtras } from './entries.ts';

/** One agent's part of a history, in the order of speaking. */
export interface LegacyThread {
  readonly agent: string;
  readonly entries: readonly LegacyEntry[];
}

/** An entry with a time: its own, or the one that its place gives it. */
export interface TimedEntry {
  readonly entry: LegacyEntry;
  readonly agent: string;
  readonly atMs: number;
  readonly time: LegacyExtras['time'];
}

/**
 * Every thread of every source as one history.
 *
 * 1. Threads of the same agent from several sources are one thread: what they begin with in common stands once (the media handler
 *    started from a copy of the event processor's state), the rests are merged by time.
 * 2. An entry without a stamp has the time of the entry before it in its thread, at the beginning of a thread that of the first stamp
 *    after it. A thread without any stamp has the session's time (`sessionMs`), without one 0.
 * 3. The earliest of the threads' next entries comes next; at the same time the thread that was written first. So the order within a
 *    thread never changes, also where its stamps run backwards.
 */
export function mergeThreads(
  sources: readonly (readonly LegacyThread[])[],
  sessionMs: number | undefined,
): TimedEntry[] {
  const byAgent = new Map<string, TimedEntry[]>();
  for (const { agent, entries } of sources.flat()) {
    const timed = withTimes(agent, entries, sessionMs);
    const known = byAgent.get(agent);
    byAgent.set(agent, known ? join(known, timed) : timed);
  }
  return mergeByTime([...byAgent.values()]);
}

function withTimes(agent: string, entries: readonly LegacyEntry[], sessionMs: number | undefined): TimedEntry[] {
  const first = entries.find((entry) => entry.timeMs !== undefined)?.timeMs;
  let beforeMs = first;
  return entries.map((entry) => {
    if (entry.timeMs !== undefined) {
      beforeMs = entry.timeMs;
      return { entry, agent, atMs: entry.timeMs, time: undefined };
    }
    if (beforeMs !== undefined) return { entry, agent, atMs: beforeMs, time: 'neighbour' };
    return { entry, agent, atMs: sessionMs ?? 0, time: sessionMs === undefined ? 'unknown' : 'session' };
  });
}

function join(first: readonly TimedEntry[], second: readonly TimedEntry[]): TimedEntry[] {
  const common: TimedEntry[] = [];
  for (const [index, one] of first.entries()) {
    const other = second[index];
    if (!other || !isSame(one.entry, other.entry)) break;
    common.push(one.entry.timeMs === undefined ? other : one);
  }
  return [...common, ...mergeByTime([first.slice(common.length), second.slice(common.length)])];
}

function isSame(one: LegacyEntry, other: LegacyEntry): boolean {
  const sameTime = one.timeMs === undefined || other.timeMs === undefined || one.timeMs === other.timeMs;
  return sameTime && one.identity === other.identity;
}

function mergeByTime(lists: readonly (readonly TimedEntry[])[]): TimedEntry[] {
  const next = lists.map(() => 0);
  const merged: TimedEntry[] = [];
  for (;;) {
    let best: { list: number; entry: TimedEntry } | undefined;
    for (const [list, entries] of lists.entries()) {
      const entry = entries[next[list] ?? 0];
      if (entry && (!best || entry.atMs < best.entry.atMs)) best = { list, entry };
    }
    if (!best) return merged;
    merged.push(best.entry);
    next[best.list] = (next[best.list] ?? 0) + 1;
  }
}
