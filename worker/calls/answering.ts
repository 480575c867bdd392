import type { Timer } from '../../platform/clock.ts';
import { sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';

/** ACS lets a call ring for 30 s. */
export const RING_MS = 30_000;
const RETRY_MS = 500;

export interface Answering {
  deps: CallDeps;
  leases: Pick<LeaseTable, 'owns' | 'answered'>;
  redisAvailable: () => boolean;
  /** The lease belongs to another worker now; this answer, if any, is handed to it. */
  onFencedOut: (call: Call, callConnectionId: string | undefined) => void;
}

/** Answers a placed call at ACS: the fence is checked right before, trouble is retried within the ring time. */
export async function answer(context: Answering, call: Call): Promise<void> {
  const { deps } = context;
  const deadlineMs = call.createdAtMs + RING_MS;
  call.learn({ kind: 'answerRequested' });
  const abort = new AbortController();
  const timer: Timer = deps.clock.after(RING_MS, () => abort.abort());
  try {
    while (!call.over && deps.clock.monotonicMs() < deadlineMs) {
      if (!(await stillOwned(context, call))) return context.onFencedOut(call, undefined);
      if (call.over) return;
      const outcome = await deps.acs.answer({
        incomingCallContext: call.ring.incomingCallContext,
        ...deps.urls(call.ref),
        sampleRateHertz: deps.spec.call.sampleRateHertz,
        callRef: call.ref,
        signal: abort.signal,
      });
      if (outcome.kind === 'answered') return accepted(context, call, outcome.callConnectionId);
      if (outcome.kind === 'alreadyAnswered') return waitForFirstSign(context, call, deadlineMs);
      if (outcome.kind === 'gone') {
        call.log.info({ code: outcome.code }, 'ACS no longer lets this ring be answered');
        break;
      }
      call.log.warn({ code: outcome.code }, 'ACS did not take the answer; asking again');
      await sleep(deps.clock, RETRY_MS * (0.75 + deps.random.fraction() / 2));
    }
    if (!call.over) call.learn({ kind: 'answerRefused' });
  } finally {
    timer.cancel();
  }
}

async function stillOwned(context: Answering, call: Call): Promise<boolean> {
  if (!call.leased || !context.redisAvailable()) return true;
  try {
    return await context.leases.owns({ callRef: call.ref, fence: call.fence, incarnation: call.incarnation });
  } catch (error) {
    // Not knowing is no reason to let the caller ring on: ACS accepts one answer only, whoever gives it.
    call.log.warn({ code: errorCode(error) }, 'the fence could not be checked before the answer');
    return true;
  }
}

function accepted(context: Answering, call: Call, callConnectionId: string): void {
  if (call.over) {
    context.onFencedOut(call, callConnectionId);
    return;
  }
  context.deps.metrics.countSetup('ok');
  call.connectedAs(callConnectionId);
  call.learn({ kind: 'answerAccepted' });
}

/** Another request answered this ring. Its id comes with the first callback or upgrade, or the call is not ours to serve. */
function waitForFirstSign(context: Answering, call: Call, deadlineMs: number): void {
  call.log.info('the ring was answered already; waiting for its first callback or media');
  const { clock } = context.deps;
  clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
    if (!call.over && call.callConnectionId === undefined) call.learn({ kind: 'answerRefused' });
  });
}
