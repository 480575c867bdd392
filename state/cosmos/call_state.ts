/** How much of a call the archive has. */
export type CallState =
  /** The end record and every turn that it counts. */
  | { kind: 'complete' }
  /** The end record is there and turns are missing: still on their way, in quarantine, or lost. */
  | { kind: 'incomplete'; missingTurns: number }
  /** No end record: the call is live, or its last records have not been archived yet. */
  | { kind: 'open' }
  /** The archive knows nothing of it. */
  | { kind: 'unknown' };

/** `turns`: different turns that were found. `counted`: what the end record says; undefined when there is none. */
export function callState(found: { turns: number; ended: boolean; counted: number | undefined }): CallState {
  if (!found.ended) return { kind: found.turns === 0 ? 'unknown' : 'open' };
  const missingTurns = (found.counted ?? found.turns) - found.turns;
  return missingTurns > 0 ? { kind: 'incomplete', missingTurns } : { kind: 'complete' };
}

/** One sentence for people. */
export function describeState(state: CallState): string {
  switch (state.kind) {
    case 'complete':
      return 'complete';
    case 'incomplete':
      return `incomplete: ${state.missingTurns} turns are not in the archive (on their way, in quarantine, or lost)`;
    case 'open':
      return 'open: there is no end record yet (the call is live, or its last records are on their way)';
    case 'unknown':
      return 'unknown: the archive has nothing of it';
  }
}
