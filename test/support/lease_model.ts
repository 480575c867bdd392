import assert from 'node:assert/strict';
import type { Lease } from '../../contract/records.ts';
import { Component } from '../../state/keys/component.ts';
import type { HeldLease } from '../../state/ports.ts';
import { affinityOf, callRefOf, heartbeatOf, heldOf, type Leases, POOL, ringOf } from './leases.ts';

/** One step of a run. Numbers choose among what is there at that moment, so that every sequence makes sense. */
export type Step =
  /** A ring comes; `lost` means that its hand-off never reaches the owner. */
  | { kind: 'place'; ring: number; pack: boolean; lost: boolean }
  /** A ringing lease is placed again without its worker. */
  | { kind: 'replace'; call: number }
  /** The owner's answer is written. */
  | { kind: 'answer'; worker: number; call: number }
  | { kind: 'renew'; worker: number }
  | { kind: 'release'; worker: number; call: number }
  /** Somebody takes over what it saw now, or what it saw earlier (`stale`). */
  | { kind: 'grant'; taker: number; call: number; stale: boolean }
  | { kind: 'adopt'; worker: number; ring: number }
  /** The process restarts: its memory is gone, its incarnation is new. */
  | { kind: 'restart'; worker: number }
  /** Every lease that is not renewed meanwhile lapses. */
  | { kind: 'expire' }
  /** Redis is emptied; the workers that are not cut off re-assert, in this order, and the controller confirms. */
  | { kind: 'flush'; order: number[]; cutOff: number };

interface Worker {
  id: string;
  slots: number;
  process: number;
  held: Map<string, HeldLease>;
}

const HARD_LIMIT = 3;

/** Plays steps on a real table, and checks after each what must hold whatever happened. */
export class LeaseRun {
  readonly #leases: Leases;
  readonly #workers: Worker[];
  /** Who got which fence of a call, over the whole run: Redis may forget, this does not. */
  readonly #given = new Map<string, string>();
  readonly #highest = new Map<string, number>();
  /** Fences in Redis since it was last emptied. */
  readonly #stored = new Map<string, number>();
  /** Calls that ended since Redis was last emptied. */
  readonly #ended = new Set<string>();
  readonly #seen: Lease[] = [];
  #serial = 0;

  constructor(leases: Leases) {
    this.#leases = leases;
    this.#workers = ['w-a', 'w-b', 'w-c'].map((id) => ({ id, slots: 2, process: 1, held: new Map() }));
  }

  async start(): Promise<void> {
    await this.#leases.begin();
    await this.#announce();
  }

  async play(step: Step): Promise<void> {
    await this.#act(step);
    await this.check();
  }

  async #act(step: Step): Promise<void> {
    // Leases are short here and renewals rare, so the pool's epoch goes missing all the time; recovery has tests of its own.
    await this.#leases.table.confirmRecovery(1);
    switch (step.kind) {
      case 'place':
        return this.#place(`${step.ring}`, step.pack, step.lost);
      case 'replace':
        return this.#replace(step.call);
      case 'answer':
        return this.#answer(this.#worker(step.worker), step.call);
      case 'renew':
        return this.#renew(this.#worker(step.worker));
      case 'release':
        return this.#release(this.#worker(step.worker), step.call);
      case 'grant':
        return this.#grant(this.#worker(step.taker), step.call, step.stale);
      case 'adopt':
        return this.#adopt(this.#worker(step.worker), `${step.ring}`);
      case 'restart': {
        const worker = this.#worker(step.worker);
        worker.process += 1;
        worker.held.clear();
        return this.#announce();
      }
      case 'expire':
        return this.#expire();
      case 'flush':
        return this.#flush(step.order, step.cutOff);
    }
  }

  async #place(ring: string, pack: boolean, lost: boolean): Promise<void> {
    const newCallRef = callRefOf(`n${this.#serial++}`);
    const outcome = await this.#leases.table.place({
      ring: ringOf(ring),
      newCallRef,
      strategy: pack ? 'Pack' : 'Spread',
    });
    if (outcome.kind !== 'placed' || outcome.repeated) return;
    assert.equal(outcome.lease.callRef, newCallRef);
    await this.#gave(outcome.lease, 'place');
    if (!lost) this.#handTo(outcome.lease);
  }

  async #replace(call: number): Promise<void> {
    const lease = pick(await this.#all(), call);
    if (!lease) return;
    const outcome = await this.#leases.table.place({
      ring: lease.ring,
      newCallRef: callRefOf(`n${this.#serial++}`),
      strategy: 'Spread',
      exclude: [lease.worker],
      replaces: { callRef: lease.callRef, fence: lease.fence },
    });
    if (outcome.kind !== 'placed' || outcome.repeated) return;
    assert.equal(lease.state, 'ringing', 'an answered call was placed again');
    await this.#gave(outcome.lease, 'place');
    this.#handTo(outcome.lease);
  }

  async #answer(worker: Worker, call: number): Promise<void> {
    const held = pick([...worker.held.values()], call);
    if (!held) return;
    const owner = { callRef: held.callRef, fence: held.fence, incarnation: incarnation(worker) };
    const outcome = await this.#leases.table.answered({ ...owner, callConnectionId: `conn-${held.callRef}` });
    if (outcome === 'written') held.callConnectionId = `conn-${held.callRef}`;
  }

  async #renew(worker: Worker): Promise<void> {
    const held = [...worker.held.values()];
    const outcome = await this.#leases.table.renew({ worker: worker.id, incarnation: incarnation(worker), held });
    for (const { callRef } of outcome.lost) worker.held.delete(callRef);
    for (const lease of outcome.unheld) {
      assert.equal(lease.worker, worker.id);
      if (lease.incarnation === incarnation(worker)) worker.held.set(lease.callRef, heldOf(lease));
      else await this.#take(worker, lease);
    }
  }

  async #release(worker: Worker, call: number): Promise<void> {
    const held = pick([...worker.held.values()], call);
    if (!held) return;
    await this.#leases.table.release({ callRef: held.callRef, fence: held.fence, incarnation: incarnation(worker) });
    const left = await this.#leases.table.find(held.callRef);
    if (left?.fence === held.fence) assert.notEqual(left.incarnation, incarnation(worker));
    if (!left) {
      this.#stored.delete(held.callRef);
      this.#ended.add(held.callRef);
    }
    worker.held.delete(held.callRef);
  }

  async #grant(taker: Worker, call: number, stale: boolean): Promise<void> {
    const lease = pick(stale ? this.#seen : await this.#all(), call);
    if (lease) await this.#take(taker, lease);
  }

  async #take(taker: Worker, lease: Lease): Promise<void> {
    const seen = { fence: lease.fence, incarnation: lease.incarnation };
    const by = { worker: taker.id, incarnation: incarnation(taker), hardSlotLimit: HARD_LIMIT };
    const now = await this.#leases.table.find(lease.callRef);
    const outcome = await this.#leases.table.grant({ callRef: lease.callRef, seen, taker: by });
    const moved = now?.fence !== lease.fence || now.incarnation !== lease.incarnation;
    assert.equal(outcome.kind === 'moved', moved, 'granted what the taker did not see');
    if (outcome.kind !== 'granted') return;
    await this.#gave(outcome.lease, 'grant');
    taker.held.set(lease.callRef, heldOf(outcome.lease));
  }

  async #adopt(worker: Worker, ring: string): Promise<void> {
    const callRef = callRefOf(`a${this.#serial++}`);
    const lease = { callRef, fence: 1, callConnectionId: `conn-${callRef}`, ring: ringOf(ring), placedAtMs: 1 };
    const outcome = await this.#leases.table.adopt({ worker: worker.id, incarnation: incarnation(worker), lease });
    if (outcome.kind !== 'adopted') return;
    worker.held.set(callRef, { ...lease, fence: outcome.fence });
    const found = await this.#leases.table.find(callRef);
    assert.ok(found);
    await this.#gave(found, 'adopt');
  }

  async #expire(): Promise<void> {
    const until =
      (await this.#leases.timeMs()) + Math.max(this.#leases.table.times.leaseMs, this.#leases.table.times.ringingMs);
    await this.#leases.passed(until);
    await this.#leases.table.confirmRecovery(1);
    await this.#announce();
  }

  async #flush(order: readonly number[], cutOff: number): Promise<void> {
    await this.#leases.client.command('FLUSHALL');
    this.#stored.clear();
    this.#ended.clear();
    this.#seen.length = 0;
    for (const index of order) if (index !== cutOff) await this.#renew(this.#worker(index));
    await this.#leases.table.confirmRecovery(1);
    await this.#announce();
  }

  /** Controller and workers say again what they say all the time. */
  async #announce(): Promise<void> {
    for (const worker of this.#workers) {
      await this.#leases.table.writeAffinity(affinityOf(worker.id, worker.slots));
      await this.#leases.table.beat(heartbeatOf(worker.id, worker.slots, incarnation(worker)));
    }
  }

  #handTo(lease: Lease): void {
    const owner = this.#workers.find((worker) => worker.id === lease.worker);
    if (owner && incarnation(owner) === lease.incarnation) owner.held.set(lease.callRef, heldOf(lease));
  }

  /** A fence was given: it is above all that the call had, and nobody else has it. */
  async #gave(lease: Lease, how: 'place' | 'grant' | 'adopt'): Promise<void> {
    const id = `${lease.callRef} ${lease.fence}`;
    const owner = `${lease.worker} ${lease.incarnation}`;
    assert.equal(this.#given.get(id) ?? owner, owner, `two owners for one fence: ${id}`);
    this.#given.set(id, owner);
    const highest = this.#highest.get(lease.callRef) ?? 0;
    assert.ok(lease.fence > highest, `the fence of ${lease.callRef} went from ${highest} to ${lease.fence}`);
    this.#highest.set(lease.callRef, lease.fence);
    this.#seen.push(lease);
    const worker = this.#workers.find((each) => each.id === lease.worker);
    const limit = how === 'place' ? (worker?.slots ?? 0) : HARD_LIMIT;
    if (how !== 'adopt') {
      const load = (await this.#leases.load(lease.worker)) ?? 0;
      assert.ok(load <= limit, `${lease.worker} got call ${load} of ${limit} by ${how}`);
    }
  }

  async check(): Promise<void> {
    const read = (component: Component) => this.#leases.keys.systemKey(POOL, component);
    const members = async (component: Component) =>
      (await this.#leases.client.command<string[]>('ZRANGE', read(component), 0, -1)).filter((member) => member !== '');
    const [owned, lapsed, expiry, purge, index] = await Promise.all(
      [Component.OWNED, Component.LAPSED, Component.EXPIRY, Component.PURGE, Component.INDEX].map(members),
    );
    const all = await this.#all();
    const named = all.map((lease) => `${lease.worker} ${lease.callRef}`).sort();
    assert.deepEqual([...(owned ?? []), ...(lapsed ?? [])].sort(), named, 'each lease is counted or lapsed, once');
    assert.deepEqual(owned?.toSorted(), expiry?.toSorted(), 'what counts has an expiry');
    assert.deepEqual(
      lapsed?.toSorted(),
      purge?.filter((member) => !member.startsWith('E ')).sort(),
      'what lapsed is purged later',
    );

    const { calls } = await this.#leases.table.summary();
    for (const { id, slots } of this.#workers) {
      const load = owned?.filter((member) => member.startsWith(`${id} `)).length ?? 0;
      assert.equal(calls[id] ?? 0, load, `load of ${id}`);
      if (index?.includes(id)) assert.ok(load < slots, `${id} is full and still in the index`);
    }
    for (const lease of all) {
      assert.ok(!this.#ended.has(lease.callRef), `${lease.callRef} came back after its end`);
      const before = this.#stored.get(lease.callRef) ?? 0;
      assert.ok(lease.fence >= before, `the stored fence of ${lease.callRef} went back`);
      this.#stored.set(lease.callRef, lease.fence);
      assert.equal(
        this.#given.get(`${lease.callRef} ${lease.fence}`),
        `${lease.worker} ${lease.incarnation}`,
        'stored owner',
      );
    }
    for (const [key, left] of await this.#leases.ttls()) {
      assert.ok(left > 0, `${key} has no time to live`);
      assert.ok(this.#leases.keys.parse(key), `${key} is outside the grammar`);
    }
  }

  async #all(): Promise<Lease[]> {
    const refs = await this.#leases.client.command<string[]>(
      'HKEYS',
      this.#leases.keys.systemKey(POOL, Component.LEASES),
    );
    const found = await Promise.all(
      refs
        .filter((ref) => ref !== '')
        .sort()
        .map((ref) => this.#leases.table.find(ref)),
    );
    return found.filter((lease) => lease !== undefined);
  }

  #worker(index: number): Worker {
    const worker = this.#workers[index % this.#workers.length];
    if (!worker) throw new Error('no worker');
    return worker;
  }
}

function incarnation(worker: Worker): string {
  return `${worker.id}-${worker.process}`;
}

function pick<T>(list: readonly T[], choice: number): T | undefined {
  return list.length === 0 ? undefined : list[choice % list.length];
}
