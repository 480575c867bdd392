import { defineError } from '../../platform/errors.ts';
import type { DrainClaim, Pulse, UnsentCall } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { check } from './codec.ts';
import type { LeaseKeys } from './lease_keys.ts';
import type { LeaseScripts } from './scripts/index.ts';

export const CONTROLLER_FENCED = defineError('ERR_CONTROLLER_FENCED', {
  status: 409,
  message: 'another controller with a higher fence writes to this pool',
  remedy: 'This controller has lost the lead: stop writing and wait to be elected again.',
});

type SummaryReply = readonly [cursor: string, refused: string, recovering: number, loads: readonly (string | number)[]];
type UnsentReply = readonly [ref: string, connection: string, entered: string, worker: string, live: number];
type ClaimReply = readonly ['claimed' | 'held' | 'owned', string];

const UNSENT_MAX = 500;
const CLAIM_MAX_MS = 10 * 60_000;

/** The pool as a whole: recovery, figures, and what the archiver works through. */
export class PoolRecords {
  readonly #client: RedisClient;
  readonly #keys: LeaseKeys;
  readonly #scripts: LeaseScripts;

  constructor(parts: { client: RedisClient; keys: LeaseKeys; scripts: LeaseScripts }) {
    this.#client = parts.client;
    this.#keys = parts.keys;
    this.#scripts = parts.scripts;
  }

  async confirmRecovery(controllerFence: number): Promise<void> {
    const script = this.#scripts.confirmRecovery;
    const args = [check.whole('controllerFence', controllerFence)];
    const outcome = await this.#client.run<'open' | 'fenced'>(script, this.#keys.of(script), args);
    if (outcome === 'fenced') throw CONTROLLER_FENCED.with(`fence ${controllerFence}`);
  }

  async controllerFence(): Promise<number> {
    const script = this.#scripts.controllerFence;
    return Number(await this.#client.run<string>(script, this.#keys.of(script), []));
  }

  async summary(): Promise<Pulse & { calls: Record<string, number> }> {
    const script = this.#scripts.summary;
    const calls: Record<string, number> = {};
    let cursor = '0';
    for (;;) {
      const reply: SummaryReply = await this.#client.run<SummaryReply>(script, this.#keys.of(script), [cursor]);
      const [next, refused, recovering, loads] = reply;
      for (let index = 0; index + 1 < loads.length; index += 2) calls[String(loads[index])] = Number(loads[index + 1]);
      cursor = next;
      if (cursor === '0') return { calls, refusedTotal: Number(refused), recovering: recovering === 1 };
    }
  }

  async unsent(limit: number, offset: number): Promise<UnsentCall[]> {
    const script = this.#scripts.unsent;
    const args = [check.whole('offset', offset), Math.min(UNSENT_MAX, check.whole('limit', limit))];
    const replies = await this.#client.run<UnsentReply[]>(script, this.#keys.of(script), args);
    return replies.map(([callRef, connection, entered, worker, live]) => ({
      callRef,
      callConnectionId: connection === '' ? undefined : connection,
      enteredAtMs: Number(entered),
      owner: worker === '' ? undefined : { worker, live: live === 1 },
    }));
  }

  async enterUnsent(callRef: string, callConnectionId: string): Promise<void> {
    const script = this.#scripts.enterUnsent;
    const args = [check.callRef(callRef), check.connection(callConnectionId)];
    await this.#client.run(script, this.#keys.of(script), args);
  }

  async raiseFenceFloor(floor: number): Promise<number> {
    const script = this.#scripts.raiseFloor;
    return Number(await this.#client.run<string>(script, this.#keys.of(script), [check.fence(floor)]));
  }

  async markSent(callRef: string): Promise<void> {
    const script = this.#scripts.markSent;
    await this.#client.run(script, this.#keys.of(script), [check.callRef(callRef)]);
  }

  async claimDrain(callRef: string, worker: string, incarnation: string, leaseMs: number): Promise<DrainClaim> {
    const script = this.#scripts.claimDrain;
    const [kind, value] = await this.#client.run<ClaimReply>(script, this.#keys.of(script), [
      check.callRef(callRef),
      check.worker(worker),
      check.incarnation(incarnation),
      Math.min(CLAIM_MAX_MS, check.whole('leaseMs', leaseMs)),
    ]);
    return kind === 'claimed' ? { kind, fence: Number(value) } : { kind, worker: value };
  }
}
