/** Bounds how many things of one source, and of all, are under way at once. Overflow: the newcomer is refused. */
export interface SourceCaps {
  /** Undefined when a bound is reached; else to be called once when the thing is over (again does nothing). */
  enter(source: string): (() => void) | undefined;
  readonly inside: number;
}

export function createSourceCaps(limits: { perSource: number; total: number }): SourceCaps {
  const bySource = new Map<string, number>();
  let total = 0;
  return {
    get inside() {
      return total;
    },
    enter(source) {
      const own = bySource.get(source) ?? 0;
      if (total >= limits.total || own >= limits.perSource) return undefined;
      total++;
      bySource.set(source, own + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        total--;
        const rest = (bySource.get(source) ?? 1) - 1;
        if (rest > 0) bySource.set(source, rest);
        else bySource.delete(source);
      };
    },
  };
}
