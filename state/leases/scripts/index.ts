import type { LeaseTimes } from '../times.ts';
import { answeredScript, findScript, grantScript, ownsScript, releaseScript } from './ownership.ts';
import { placeFullyScript, placeScript } from './place.ts';
import { claimDrainScript, confirmRecoveryScript, markSentScript, summaryScript, unsentScript } from './pool.ts';
import { reassertScript } from './reassert.ts';
import { renewScript } from './renew.ts';
import { beatScript, liveWorkersScript, parkScript, writeAffinityScript } from './workers.ts';

/** Every script of the lease table, with its times written into the text. */
export function leaseScripts(times: LeaseTimes) {
  return {
    place: placeScript(times),
    placeFully: placeFullyScript(times),
    renew: renewScript(times),
    reassert: reassertScript(times),
    answered: answeredScript(times),
    grant: grantScript(times),
    release: releaseScript(times),
    find: findScript(times),
    owns: ownsScript(times),
    beat: beatScript(times),
    writeAffinity: writeAffinityScript(times),
    park: parkScript(times),
    liveWorkers: liveWorkersScript(times),
    confirmRecovery: confirmRecoveryScript(times),
    summary: summaryScript(times),
    unsent: unsentScript(times),
    markSent: markSentScript(times),
    claimDrain: claimDrainScript(times),
  };
}
export type LeaseScripts = ReturnType<typeof leaseScripts>;
