import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { KubeClient } from './client.ts';
import { isConflict, isNotFound } from './errors.ts';
import { LeaseRecord } from './lease_record.ts';
import type { KubeMetrics } from './metrics.ts';

export interface LeaderElectorOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly namespace: string;
  readonly name: string;
  /** Unique among the candidates. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: KubeMetrics;
  /** The lead is ours. `leaseTransitions` grows with each change of the leader. */
  readonly onStarted: (term: { leaseTransitions: number }) => void;
  /** It is not ours any more, for that reason. The election goes on only when this is done. */
  readonly onStopped: (reason: string) => Promise<void> | void;
  readonly times?: Partial<LeaseTimes>;
}

export interface LeaseTimes {
  /** A Lease that nobody has renewed for this long may be taken. */
  readonly leaseDurationMs: number;
  /** A leader that could not renew for this long stops leading, before anybody may take over. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** client-go's defaults. */
export const LEASE_TIMES: LeaseTimes = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
/** Candidates look more often than a leader renews, so that a Lease that was given back is taken within a retry period, reading and writing included. */
const CANDIDATE_SHARE = 0.6;
const CANDIDATE_SPREAD = 0.2;

/**
 * Leader election by a Lease, as client-go does it: whether the holder is gone is judged by how long this process has seen the record
 * unchanged, never by the times in it, since two machines' clocks differ. A leader that cannot renew gives up before others may take over.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #times: LeaseTimes;
  readonly #record: LeaseRecord;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #leads = false;
  #timer: Timer | undefined;
  #watchdog: Timer | undefined;
  #closed = false;
  #ticking: Promise<void> | undefined;
  /** `onStopped` runs. */
  #stopping: Promise<void> | undefined;
  /** leaseTransitions that our next term must be above. */
  #floor = -1;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#times = { ...LEASE_TIMES, ...options.times };
    const { leaseDurationMs, renewDeadlineMs } = this.#times;
    this.#record = new LeaseRecord({ ...options, leaseDurationMs, timeoutMs: renewDeadlineMs / 2 });
    options.metrics.setLeader(options.name, false);
  }

  /** Also false from the moment on at which a renewal is overdue, should the timer that says so be late. */
  get isLeader(): boolean {
    return this.#leads && this.#leftMs > 0;
  }

  start(): void {
    void this.#tick();
  }

  /** Ends the election; a Lease that is ours is given back, so that another takes over at once. Call it after the work has stopped. */
  async release(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#watchdog?.cancel();
    await this.#ticking;
    await this.#stopping;
    this.#setLeads(false);
    try {
      await this.#giveBack();
    } catch (error) {
      this.#options.log.warn({ code: errorCode(error) }, 'the Lease could not be given back; it runs out by itself');
    }
  }

  async #giveBack(): Promise<void> {
    if (!this.#record.isOurs) return;
    try {
      await this.#record.giveBack();
    } catch (error) {
      if (!isConflict(error)) throw error;
      // A renewal of ours whose answer was lost.
      await this.#record.read();
      if (this.#record.isOurs) await this.#record.giveBack();
    }
  }

  /** Our term gets a number above `known`. Ends the term and begins another, under the same Lease. */
  async raise(known: number): Promise<void> {
    if (!this.#leads) return;
    this.#floor = Math.max(this.#floor, known);
    await this.#stopLeading('a higher number is needed');
  }

  #tick(): Promise<void> {
    this.#ticking ??= this.#try()
      .catch((error: unknown) => {
        const level = isConflict(error) ? 'debug' : 'warn';
        this.#options.log[level]({ code: errorCode(error), err: error }, 'the Lease could not be read or written');
      })
      .finally(() => {
        this.#ticking = undefined;
        if (this.#closed) return;
        // Candidates spread their tries; a leader renews in time.
        const factor = this.#leads ? 1 : CANDIDATE_SHARE + this.#options.random.fraction() * CANDIDATE_SPREAD;
        this.#timer = this.#options.clock.after(this.#times.retryPeriodMs * factor, () => void this.#tick());
      });
    return this.#ticking;
  }

  async #try(): Promise<void> {
    // Two terms of one process must not overlap; a wait for nothing would leave room for an end that begins meanwhile.
    while (this.#stopping) await this.#stopping;
    if (this.#closed) return;
    if (this.#leads) await this.#renew();
    else await this.#acquire();
  }

  /** Straight from the record that we wrote last. When somebody else has written since, its conflict says so and the record is read. */
  async #renew(): Promise<void> {
    const sentAtMs = this.#options.clock.monotonicMs();
    try {
      await this.#record.renew();
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      await this.#record.read();
      if (this.#record.isOurs || this.#record.isAbsent) return this.#renewRead();
      return this.#stopLeading('another controller holds the Lease');
    }
    this.#renewed(sentAtMs);
  }

  async #renewRead(): Promise<void> {
    const sentAtMs = this.#options.clock.monotonicMs();
    await this.#record.renew();
    this.#renewed(sentAtMs);
  }

  async #acquire(): Promise<void> {
    await this.#record.read();
    if (!this.#record.isFree) return;
    const sentAtMs = this.#options.clock.monotonicMs();
    const leaseTransitions = await this.#record.acquire(this.#floor);
    if (this.#closed) return;
    this.#renewedAtMs = sentAtMs;
    // The answer was so slow that the term is over already; the next try begins another.
    if (this.#leftMs <= 0) return;
    this.#setLeads(true);
    this.#watch();
    try {
      this.#options.onStarted({ leaseTransitions });
    } catch (error) {
      this.#options.log.error({ err: error }, 'the work of a leader could not be started');
      await this.#stopLeading('its work could not be started');
    }
  }

  /** Counted from when the request was sent: others see the change later than that. */
  #renewed(sentAtMs: number): void {
    if (!this.#leads) return;
    this.#renewedAtMs = sentAtMs;
    this.#watch();
  }

  get #leftMs(): number {
    return this.#renewedAtMs + this.#times.renewDeadlineMs - this.#options.clock.monotonicMs();
  }

  /** Gives up the lead when the last renewal is too long ago, whatever a request is waiting for. */
  #watch(): void {
    this.#watchdog?.cancel();
    this.#watchdog = this.#options.clock.after(Math.max(0, this.#leftMs), () => {
      void this.#stopLeading(`it could not be renewed for ${this.#times.renewDeadlineMs} ms`);
    });
  }

  #stopLeading(reason: string): Promise<void> {
    if (!this.#leads) return this.#stopping ?? Promise.resolve();
    this.#setLeads(false);
    this.#watchdog?.cancel();
    const { log } = this.#options;
    log.warn({ reason }, 'this controller does not lead any more');
    this.#stopping = this.#stopWork(reason).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stopWork(reason: string): Promise<void> {
    const { log, onStopped } = this.#options;
    try {
      await onStopped(reason);
    } catch (error) {
      log.error({ err: error }, 'the work of a leader could not be stopped in order');
    }
  }

  #setLeads(leads: boolean): void {
    this.#leads = leads;
    this.#options.metrics.setLeader(this.#options.name, leads);
  }
}
