import type { Call } from './call.ts';

/**
 * The calls of this worker. `live` calls hold a slot; a call that has ended stays as `finishing` until its last state is
 * stored and archived, because memory is the only copy while Redis is away.
 */
export class CallRegistry {
  readonly #live = new Map<string, Call>();
  readonly #finishing = new Map<string, Call>();
  readonly #idle = new Set<() => void>();

  get(callRef: string): Call | undefined {
    return this.#live.get(callRef);
  }

  /** Live or finishing. */
  find(callRef: string): Call | undefined {
    return this.#live.get(callRef) ?? this.#finishing.get(callRef);
  }

  /** True also for a call whose end is still being written: its lease must not be taken for one that was forgotten. */
  knows(callRef: string): boolean {
    return this.#live.has(callRef) || this.#finishing.has(callRef);
  }

  live(): Call[] {
    return [...this.#live.values()];
  }

  finishing(): Call[] {
    return [...this.#finishing.values()];
  }

  byRing(ringId: string): Call | undefined {
    for (const call of this.#live.values()) if (call.ring.ringId === ringId) return call;
    return undefined;
  }

  byConnectionId(callConnectionId: string): Call | undefined {
    for (const call of [...this.#live.values(), ...this.#finishing.values()]) {
      if (call.callConnectionId === callConnectionId) return call;
    }
    return undefined;
  }

  get size(): number {
    return this.#live.size;
  }

  add(call: Call): void {
    this.#live.set(call.ref, call);
  }

  /** The call has ended here but its record is not yet where it belongs. */
  finish(call: Call): void {
    this.#live.delete(call.ref);
    this.#finishing.set(call.ref, call);
  }

  /** Nothing of the call is left to do here. */
  forget(call: Call): void {
    if (this.#live.get(call.ref) === call) this.#live.delete(call.ref);
    if (this.#finishing.get(call.ref) === call) this.#finishing.delete(call.ref);
    if (this.#live.size + this.#finishing.size === 0) {
      for (const resolve of this.#idle) resolve();
      this.#idle.clear();
    }
  }

  /** Resolves when no call is live or finishing. */
  empty(): Promise<void> {
    if (this.#live.size + this.#finishing.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }
}
