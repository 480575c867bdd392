import type { Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable } from '../../state/ports.ts';
import type { Call } from './call.ts';
import type { CallDeps } from './deps.ts';
import type { HandOffClient } from './hand_off.ts';
import type { CallRegistry } from './registry.ts';

/** A spoken notice must not hold a hang-up for longer than this. */
const NOTICE_MS = 8_000;
const NOTICE = 'I am sorry, this call has to end for maintenance. Please call again in a moment. Goodbye.';

export interface DrainDeps {
  calls: CallDeps;
  leases: Pick<LeaseTable, 'heartbeats' | 'find'>;
  handOffs: HandOffClient;
  registry: CallRegistry;
}

/** Emptying a worker: no new calls; those it has go on to their end. Only causes from outside set a deadline. */
export class Drain {
  readonly #deps: DrainDeps;
  #draining = false;
  #deadline: Timer | undefined;

  constructor(deps: DrainDeps) {
    this.#deps = deps;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** A second request can bring a deadline, or an earlier one; it never takes one away. */
  begin(request: { deadlineMs: number | undefined; reason: string }): void {
    const { calls, registry } = this.#deps;
    if (!this.#draining)
      calls.log.info({ reason: request.reason, calls: registry.size, deadlineMs: request.deadlineMs }, 'draining');
    this.#draining = true;
    if (request.deadlineMs === undefined) return;
    this.#deadline?.cancel();
    this.#deadline = calls.clock.after(request.deadlineMs, () => {
      for (const call of registry.live()) void this.#atDeadline(call);
    });
  }

  close(): void {
    this.#deadline?.cancel();
  }

  async #atDeadline(call: Call): Promise<void> {
    const { spec, clock } = this.#deps.calls;
    if (spec.drain.atDeadline === 'HandOver' && (await this.#handOver(call))) return;
    const noticeOver = new Promise<void>((resolve) => clock.after(NOTICE_MS, resolve));
    await Promise.race([call.turns.announce(NOTICE), noticeOver]).catch((error: unknown) => {
      call.log.warn({ code: errorCode(error) }, 'the notice before a drain hang-up was not spoken');
    });
    call.end('drainDeadline');
  }

  /** Another worker takes the call over while this one still answers for its URLs: ACS dials again and is relayed. */
  async #handOver(call: Call): Promise<boolean> {
    const { leases, handOffs, calls } = this.#deps;
    try {
      await call.record.settle();
      const lease = await leases.find(call.ref);
      if (!lease) return false;
      const others = (await leases.heartbeats()).filter((beat) => beat.worker !== calls.worker);
      others.sort((a, b) => Number(b.admits) - Number(a.admits) || a.activeCalls - b.activeCalls);
      for (const other of others.slice(0, 3)) {
        if ((await handOffs.send(other.endpoint, { lease })) !== 'accepted') continue;
        call.superseded();
        return true;
      }
    } catch (error) {
      call.log.warn({ code: errorCode(error) }, 'the call could not be handed over');
    }
    return false;
  }
}
