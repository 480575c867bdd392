import type { LeaseTimes } from '../times.ts';
import { explainScript } from './explain.ts';
import { answeredScript, findScript, grantScript, ownsScript, releaseScript } from './ownership.ts';
import { placeFullyScript, placeScript } from './place.ts';
import {
  claimDrainScript,
  confirmRecoveryScript,
  controllerFenceScript,
  enterUnsentScript,
  markSentScript,
  raiseFloorScript,
  summaryScript,
  unsentScript,
} from './pool.ts';
import { reassertScript } from './reassert.ts';
import { renewScript } from './renew.ts';
import { beatScript, liveWorkersScript, parkScript, writeAffinityScript } from './workers.ts';

/** Every script of the lease table, with its times written into the text; one set for all pools with the same times. */
export function leaseScripts(times: LeaseTimes): LeaseScripts {
  const id = JSON.stringify(times);
  const scripts = known.get(id) ?? makeScripts(times);
  known.set(id, scripts);
  return scripts;
}

const known = new Map<string, LeaseScripts>();

function makeScripts(times: LeaseTimes) {
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
    controllerFence: controllerFenceScript(times),
    summary: summaryScript(times),
    explain: explainScript(times),
    unsent: unsentScript(times),
    enterUnsent: enterUnsentScript(times),
    raiseFloor: raiseFloorScript(times),
    markSent: markSentScript(times),
    claimDrain: claimDrainScript(times),
  };
}
export type LeaseScripts = ReturnType<typeof makeScripts>;
