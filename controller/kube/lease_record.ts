import type { Clock } from '../../platform/clock.ts';
import type { KubeClient } from './client.ts';
import { microTime } from './micro_time.ts';
import type { Lease } from './objects.ts';
import { LEASES } from './resources.ts';

export interface LeaseRecordOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly leaseDurationMs: number;
  /** Of one request: a late answer is worth nothing. */
  readonly timeoutMs: number;
}

type LeaseSpec = NonNullable<Lease['spec']>;

/** Not even a record that names a shorter time is taken from its holder sooner. */
const DURATION_MIN_MS = 1_000;

/** One Lease as this process has seen it. Every write fails with a KubeError 409 when somebody else has written since it was read. */
export class LeaseRecord {
  readonly #options: LeaseRecordOptions;
  #lease: Lease | undefined;
  /** The record, to see a change by. */
  #text = '';
  /** Our own monotonic clock when the record was last seen to change. */
  #changedAtMs = Number.NEGATIVE_INFINITY;
  /** The highest number seen, also of a Lease that was deleted since. */
  #transitions = -1;

  constructor(options: LeaseRecordOptions) {
    this.#options = options;
  }

  get isAbsent(): boolean {
    return this.#lease === undefined;
  }

  get isOurs(): boolean {
    return this.#lease?.spec?.holderIdentity === this.#options.identity;
  }

  /** Absent, given back, ours, or not seen to change for as long as it says it is good for. */
  get isFree(): boolean {
    const { holderIdentity = '', leaseDurationSeconds = 0 } = this.#lease?.spec ?? {};
    if (holderIdentity === '' || this.isOurs) return true;
    const durationMs = Math.max(leaseDurationSeconds * 1000, DURATION_MIN_MS);
    return this.#options.clock.monotonicMs() - this.#changedAtMs > durationMs;
  }

  async read(): Promise<void> {
    const { client, namespace, name, timeoutMs } = this.#options;
    this.#observe(await client.get(LEASES, { namespace, name }, { timeoutMs }));
  }

  /** Begins a term of ours; its number, which is above `floor` and above every one seen. */
  async acquire(floor: number): Promise<number> {
    const leaseTransitions = Math.max(this.#transitions, floor) + 1;
    await this.#write({ ...this.#lease?.spec, ...this.#held(leaseTransitions), acquireTime: this.#now() });
    return leaseTransitions;
  }

  /** Goes on with our term, under the same number; also when somebody has deleted the Lease. */
  async renew(): Promise<void> {
    const { acquireTime = this.#now() } = this.#lease?.spec ?? {};
    await this.#write({ ...this.#lease?.spec, ...this.#held(Math.max(this.#transitions, 0)), acquireTime });
  }

  async giveBack(): Promise<void> {
    const now = this.#now();
    const times = { acquireTime: now, renewTime: now, leaseDurationSeconds: DURATION_MIN_MS / 1000 };
    await this.#write({ ...this.#lease?.spec, ...times, holderIdentity: '' });
  }

  #held(leaseTransitions: number) {
    const { identity, leaseDurationMs } = this.#options;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      renewTime: this.#now(),
      leaseTransitions,
    };
  }

  async #write(spec: LeaseSpec): Promise<void> {
    const { client, namespace, name, timeoutMs } = this.#options;
    const lease = this.#lease;
    this.#observe(
      lease
        ? await client.update(LEASES, { ...lease, spec }, { timeoutMs })
        : await client.create(LEASES, { metadata: { name, namespace }, spec }, { timeoutMs }),
    );
  }

  #observe(lease: Lease | undefined): void {
    const text = JSON.stringify(lease?.spec ?? null);
    if (text !== this.#text) this.#changedAtMs = this.#options.clock.monotonicMs();
    this.#text = text;
    this.#lease = lease;
    this.#transitions = Math.max(this.#transitions, lease?.spec?.leaseTransitions ?? -1);
  }

  #now(): string {
    return microTime(this.#options.clock.wallMs());
  }
}
