import type { PlacementCandidate, PlacementExplanation, PlacementRefusal } from '../ports.ts';

export type ExplainReply = readonly [now: string, candidates: readonly string[], refusals: readonly string[]];
type Strategy = PlacementExplanation['strategy'];

/** The scripts' lines as candidates, in the order in which a placement would try them. */
export function decodeExplanation(
  [now, lines, refusals]: ExplainReply,
  strategy: Strategy,
  heartbeatMs: number,
): PlacementExplanation {
  return {
    atMs: Number(now),
    strategy,
    candidates: decodeCandidates(lines, new Set(), strategy, heartbeatMs),
    refusals: refusals.map((text) => decodeRefusal(text, strategy, heartbeatMs)),
  };
}

function decodeRefusal(text: string, strategy: Strategy, heartbeatMs: number): PlacementRefusal {
  const [head = '', ...lines] = text.split('\n');
  const [at, ringId = '', refused, excluded = ''] = head.split(' ');
  const candidates = decodeCandidates(lines, new Set(excluded.split(',')), strategy, heartbeatMs);
  return { atMs: Number(at), ringId, refusedTotal: Number(refused), candidates };
}

function decodeCandidates(
  lines: readonly string[],
  excluded: ReadonlySet<string>,
  strategy: Strategy,
  heartbeatMs: number,
): PlacementCandidate[] {
  const found = lines.map((line): PlacementCandidate => {
    const [worker = '', age, load, slots, flags = ''] = line.split(' ');
    const row = { worker, load: Number(load), slots: Number(slots), heartbeatAgeMs: Number(age) };
    return { ...row, refusedBecause: refusal(row, flags, excluded, heartbeatMs) };
  });
  const share = ({ load, slots }: PlacementCandidate) => (strategy === 'Pack' ? -1 : 1) * (load / Math.max(1, slots));
  const open = ({ refusedBecause }: PlacementCandidate) => (refusedBecause === undefined ? 0 : 1);
  return found.sort((a, b) => open(a) - open(b) || share(a) - share(b) || a.worker.localeCompare(b.worker));
}

/** In the order in which the placement script looks. */
function refusal(
  { worker, load, slots, heartbeatAgeMs }: { worker: string; load: number; slots: number; heartbeatAgeMs: number },
  flags: string,
  excluded: ReadonlySet<string>,
  heartbeatMs: number,
): PlacementCandidate['refusedBecause'] {
  if (excluded.has(worker)) return 'excluded';
  if (heartbeatAgeMs > heartbeatMs) return 'noHeartbeat';
  if (!flags.includes('A')) return 'notAdmitted';
  if (!flags.includes('H')) return 'refusesItself';
  if (flags.includes('R')) return 'mustRenew';
  return load >= slots ? 'full' : undefined;
}
