import type { RevisionQuality, UpdatePolicy, Verdict } from './types.ts';

export const NO_CALLS: RevisionQuality = {
  ready: 0,
  broken: 0,
  brokenReason: undefined,
  setups: 0,
  setupFailures: 0,
  responses: 0,
  responseSeconds: 0,
};

/** A difference that a caller cannot hear says nothing of a revision: means of few answers differ by as much by chance. */
const AUDIBLE_SECONDS = 0.1;

type Test = (update: RevisionQuality, stable: RevisionQuality, policy: UpdatePolicy) => Verdict | undefined;

/** In this order; the first that has something to say decides. */
const TESTS: readonly Test[] = [doesNotStart, setupsFail, answersSlowly, seenEnough];

/** Whether the new revision serves its callers as well as the old one. Pure. */
export function judge(update: RevisionQuality, stable: RevisionQuality, policy: UpdatePolicy): Verdict {
  for (const test of TESTS) {
    const verdict = test(update, stable, policy);
    if (verdict) return verdict;
  }
  const reason = `${update.setups} of ${policy.canary.minCalls} calls seen on the new revision`;
  return { kind: 'open', reason };
}

function doesNotStart(update: RevisionQuality): Verdict | undefined {
  if (update.broken === 0) return undefined;
  return { kind: 'bad', reason: `a worker of the new revision does not start: ${update.brokenReason ?? 'unknown'}` };
}

/** Worse than the allowed share, and worse than the old revision too: trouble of ACS hits both alike and is nobody's fault. */
function setupsFail(update: RevisionQuality, stable: RevisionQuality, policy: UpdatePolicy): Verdict | undefined {
  const { minCalls, maxSetupFailurePercent } = policy.canary;
  const percent = failurePercent(update);
  // So many failures cannot be brought below the mark by the calls that are still to be seen.
  const surely = (100 * update.setupFailures) / minCalls > maxSetupFailurePercent;
  if (percent <= maxSetupFailurePercent || !surely || percent <= 2 * failurePercent(stable)) return undefined;
  const reason = `${update.setupFailures} of ${update.setups} call set-ups failed on the new revision (${round(percent)} %, the old one: ${round(failurePercent(stable))} %, allowed: ${maxSetupFailurePercent} %)`;
  return { kind: 'bad', reason };
}

/** Means, since those can be summed over workers; both sides need as many answers as calls are asked for. */
function answersSlowly(update: RevisionQuality, stable: RevisionQuality, policy: UpdatePolicy): Verdict | undefined {
  const { minCalls, maxResponseRatio } = policy.canary;
  if (update.responses < minCalls || stable.responses < minCalls) return undefined;
  const [after, before] = [meanSeconds(update), meanSeconds(stable)];
  if (!(after > before * maxResponseRatio && after - before > AUDIBLE_SECONDS)) return undefined;
  const reason = `answers of the new revision begin after ${round(after)} s, those of the old one after ${round(before)} s; allowed are ${maxResponseRatio} times as many`;
  return { kind: 'bad', reason };
}

function seenEnough(update: RevisionQuality, _stable: RevisionQuality, policy: UpdatePolicy): Verdict | undefined {
  if (update.setups < policy.canary.minCalls) return undefined;
  const reason = `${update.setups} calls on the new revision, ${round(failurePercent(update))} % of their set-ups failed`;
  return { kind: 'good', reason };
}

const failurePercent = ({ setups, setupFailures }: RevisionQuality): number =>
  setups === 0 ? 0 : (100 * setupFailures) / setups;
const meanSeconds = ({ responses, responseSeconds }: RevisionQuality): number => responseSeconds / responses;
const round = (value: number): number => Math.round(value * 100) / 100;
