import type { Clock } from '../../platform/clock.ts';

/** A write that was never seen by then has failed in silence; waiting on would stop the pool. */
const EXPIRY_MS = 300_000;

/** The controller's own creates and deletes that the runtime's list does not show yet: without them a slow list would have them done twice. */
export class Expectations {
  readonly #clock: Clock;
  readonly #creates = new Map<string, { readonly atMs: number; readonly revision: string }>();
  readonly #deletes = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  expectCreate(worker: string, revision: string): void {
    this.#creates.set(worker, { atMs: this.#clock.monotonicMs(), revision });
  }

  expectDelete(worker: string): void {
    this.#deletes.set(worker, this.#clock.monotonicMs());
  }

  /** The write was refused: nothing is to be waited for. */
  drop(worker: string): void {
    this.#creates.delete(worker);
    this.#deletes.delete(worker);
  }

  /** Takes off what the list shows by now. */
  observe(list: readonly { id: string; presence: string; stopping: boolean }[]): void {
    const shown = new Map(list.map((worker) => [worker.id, worker]));
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { atMs }] of this.#creates) if (shown.has(id) || nowMs - atMs > EXPIRY_MS) this.#creates.delete(id);
    for (const [id, atMs] of this.#deletes) {
      const worker = shown.get(id);
      if (!worker || worker.presence === 'ended' || worker.stopping || nowMs - atMs > EXPIRY_MS)
        this.#deletes.delete(id);
    }
  }

  /** The revision of each. */
  get pendingCreates(): readonly string[] {
    return [...this.#creates.values()].map(({ revision }) => revision);
  }

  isLeaving(worker: string): boolean {
    return this.#deletes.has(worker);
  }
}
