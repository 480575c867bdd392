import type { HeartbeatRecord } from '../../contract/records.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { LeaseTable, Pulse } from '../../state/ports.ts';
import type { Pacer } from './pacer.ts';
import { figuresOf, HEARTBEAT_TTL_MS, type Observation, type TelemetryTarget } from './telemetry.ts';

export interface HeartbeatSourceOptions {
  readonly leases: Pick<LeaseTable, 'vitals' | 'heartbeatAgeMs'>;
  /** Shared by all pools of one Redis. */
  readonly pacer?: Pacer;
  readonly clock: Clock;
  readonly log: Log;
  /** Whose figures were read, where the runtime does not know. */
  readonly onIncarnation: (worker: string, incarnation: string) => void;
}

/** A worker that lives beats once a second. The last beat of one that hangs stays for five: where that matters, the age is asked for. */
const BEAT_PERIOD_MS = 1_000;
/** Redis counts time in whole milliseconds: an age that it tells may be that much too young. */
const ROUNDING_MS = 1;

function observed(beat: HeartbeatRecord): Omit<Observation, 'observedAtMs'> {
  return { figures: figuresOf(beat), incarnation: beat.incarnation, source: 'heartbeat' };
}

/** The figures of a pool's workers out of their heartbeats: one question to Redis for all of them, however many there are. */
export class HeartbeatSource {
  readonly #options: HeartbeatSourceOptions;
  #newest: ReadonlyMap<string, Observation> = new Map();
  #running: Promise<Pulse | undefined> | undefined;

  constructor(options: HeartbeatSourceOptions) {
    this.#options = options;
  }

  /** The newest observation of this very incarnation. */
  of(worker: string, incarnation: string | undefined): Observation | undefined {
    const newest = this.#newest.get(worker);
    return newest?.incarnation === incarnation ? newest : undefined;
  }

  /** A Redis that is slow is not asked a second time meanwhile; one that does not answer leaves the figures to grow stale. */
  refresh(targets: readonly TelemetryTarget[]): Promise<Pulse | undefined> {
    const { pacer } = this.#options;
    this.#running ??= (pacer ? pacer.run(() => this.#read(targets)) : this.#read(targets)).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    await this.#running;
  }

  async #read(targets: readonly TelemetryTarget[]): Promise<Pulse | undefined> {
    const { leases, clock, log, onIncarnation } = this.#options;
    const askedAtMs = clock.monotonicMs();
    try {
      // One connection keeps the order: an age that is asked for first is of this beat or of one before it, so never too young.
      const exact = targets.filter(({ exactAge }) => exactAge);
      const ages = exact.map(({ worker }) => leases.heartbeatAgeMs(worker));
      const all = targets.map(({ worker }) => worker);
      const [{ pulse, heartbeats }, ...known] = await Promise.all([leases.vitals(all), ...ages]);
      const ageMs = new Map(exact.map(({ worker }, at) => [worker, (known[at] ?? HEARTBEAT_TTL_MS) + ROUNDING_MS]));
      const beatOf = new Map(heartbeats.map((beat) => [beat.worker, beat]));
      const newest = new Map<string, Observation>();
      for (const target of targets) {
        const { worker } = target;
        const beat = beatOf.get(worker);
        // Without a beat the last one stays, and grows stale.
        const observation = beat
          ? { ...observed(beat), observedAtMs: askedAtMs - (ageMs.get(worker) ?? BEAT_PERIOD_MS) }
          : this.#newest.get(worker);
        if (observation) newest.set(worker, observation);
        if (beat && target.incarnation === undefined) onIncarnation(worker, beat.incarnation);
      }
      this.#newest = newest;
      return pulse;
    } catch (error) {
      log.debug({ code: errorCode(error) }, 'the heartbeats cannot be read');
      return undefined;
    }
  }
}
