import { type PoolRef, poolTag } from '../../contract/ids.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { Finding } from '../pool/finding.ts';
import type { PoolEvent } from '../pool/ports.ts';
import { tierFinding } from './finding.ts';
import type { CooldownGate } from './gate.ts';
import type { TierMetrics } from './metrics.ts';
import type {
  ActuationOutcome,
  ActuationRecord,
  ActuationState,
  RedisActuator,
  ScaleRequest,
  TierSpec,
} from './ports.ts';
import { judgeTier, loadOf, NO_NEED, type TierLoad, type TierMemory, thresholdOf } from './rule.ts';
import type { TierSample, TierSampler } from './sampler.ts';

export interface RedisTierOptions {
  readonly pool: PoolRef;
  readonly spec: TierSpec;
  /** Undefined for type `None`. */
  readonly actuator: RedisActuator | undefined;
  readonly sampler: Pick<TierSampler, 'newest' | 'subscribe'>;
  readonly gate: CooldownGate;
  /** What an earlier controller has left in the pool's status. */
  readonly remembered: ActuationRecord | undefined;
  /** Resolves once a controller that starts now would read it; nothing is sent before. */
  readonly persist: (record: ActuationRecord) => Promise<void>;
  readonly onEvent: (event: PoolEvent) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: TierMetrics;
  /** Nothing of this pool uses the sampler any more. */
  readonly onClosed?: () => void;
}

const STATES: Readonly<Record<ActuationOutcome['kind'], ActuationState>> = {
  done: 'Done',
  refused: 'Refused',
  failed: 'Failed',
};
const KEY_LENGTH = 24;
/** Workers that have begun to refuse go on until this far below the mark. */
const SHED_HYSTERESIS_POINTS = 2;

/** What one pool makes of the figures of its Redis: the condition, and at most one request to its actuator per cooldown, restarts included. */
export class RedisTier {
  readonly #options: RedisTierOptions;
  readonly #tag: string;
  readonly #abort = new AbortController();
  readonly #unsubscribe: () => void;
  #memory: TierMemory = NO_NEED;
  #load: TierLoad | undefined;
  #record: ActuationRecord | undefined;
  /** The record as it stands could not be written down. */
  #unsaved = false;
  #acting: Promise<void> | undefined;

  constructor(options: RedisTierOptions) {
    this.#options = options;
    this.#tag = poolTag(options.pool);
    this.#record = options.remembered;
    this.#unsubscribe = options.sampler.subscribe((sample) => this.#judge(sample));
    this.#setNeeds();
    if (options.remembered?.holds) this.#resume(options.remembered);
  }

  get finding(): Finding {
    const { spec, sampler, gate, clock, actuator } = this.#options;
    const { by } = gate;
    const held = gate.leftMs(this.#cooldownMs, clock.monotonicMs()) > 0;
    return tierFinding({
      scaleAt: spec.scaleAt,
      sample: sampler.newest,
      load: this.#load,
      needs: this.#memory.needs,
      record: actuator && this.#record?.holds ? this.#record : undefined,
      askedBy: actuator && held && by !== this.#tag ? by : undefined,
    });
  }

  /** True while workers refuse new calls because Redis is full: refused calls are no sign then that workers are missing. */
  get refusesCalls(): boolean {
    return (this.#load?.memory ?? 0) > this.#options.spec.shed.callsPercent - SHED_HYSTERESIS_POINTS;
  }

  /** Resolves when nothing is under way; for tests and for an orderly end. */
  settled(): Promise<void> {
    return this.#acting ?? Promise.resolve();
  }

  /** Stops at once. A request that was sent goes on at its receiver, and the next controller asks what became of it. */
  async close(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#unsubscribe();
    this.#abort.abort(new Error('the controller stops'));
    await this.settled();
    const { metrics, pool, actuator } = this.#options;
    metrics.forgetPool({ namespace: pool.namespace, pool: pool.pool });
    await actuator?.close();
    this.#options.onClosed?.();
  }

  get #cooldownMs(): number {
    return this.#options.spec.actuator.cooldownSeconds * 1000;
  }

  #judge(sample: TierSample): void {
    if (sample.kind === 'known') {
      this.#load = loadOf(sample.figures, this.#options.spec.scaleAt);
      this.#memory = judgeTier(this.#memory, this.#load, this.#options.spec.scaleAt);
      this.#setNeeds();
    }
    if (this.#acting) return;
    this.#acting = this.#step(sample).finally(() => {
      this.#acting = undefined;
    });
  }

  #setNeeds(): void {
    const { metrics, pool } = this.#options;
    metrics.setNeeds({ namespace: pool.namespace, pool: pool.pool }, this.#memory.needs);
  }

  async #step(sample: TierSample): Promise<void> {
    const { actuator, gate, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#record?.holds && gate.leftMs(this.#cooldownMs, nowMs) === 0) this.#set({ ...this.#record, holds: false });
    if (this.#unsaved && !(await this.#save())) return;
    // Old figures are no reason to act, however high they were.
    if (!actuator || sample.kind === 'missing' || this.#memory.needs.length === 0) return;
    if (gate.take(this.#tag, this.#cooldownMs, nowMs)) await this.#act(actuator);
  }

  async #act(actuator: RedisActuator): Promise<void> {
    const { gate, clock, random, onEvent } = this.#options;
    const before = this.#record;
    const time = new Date(clock.wallMs()).toISOString();
    const message = this.#memory.needs.join(', ');
    this.#set({ key: random.id(KEY_LENGTH), time, state: 'Requested', message, holds: true });
    // Written down first: a controller that dies right after sending must not have its successor send another.
    if (!(await this.#save())) {
      this.#record = before;
      this.#unsaved = false;
      return gate.giveBack(this.#tag);
    }
    onEvent({ type: 'Normal', reason: 'RedisScaleRequested', message: `${actuator.type} was asked: ${message}` });
    await this.#run(actuator, 'scaleUp');
  }

  #resume(record: ActuationRecord): void {
    const { gate, clock, actuator } = this.#options;
    gate.hold(this.#tag, clock.monotonicMs());
    if (!actuator || (record.state !== 'Requested' && record.state !== 'Accepted')) return;
    this.#acting = this.#run(actuator, 'resume').finally(() => {
      this.#acting = undefined;
    });
  }

  async #run(actuator: RedisActuator, how: 'scaleUp' | 'resume'): Promise<void> {
    const { log, metrics, onEvent } = this.#options;
    try {
      const outcome = await actuator[how](this.#request(), {
        signal: this.#abort.signal,
        onAccepted: (message) => this.#move('Accepted', message),
      });
      metrics.countActuation(actuator.type, outcome.kind);
      const done = outcome.kind === 'done';
      onEvent({
        type: done ? 'Normal' : 'Warning',
        reason: done ? 'RedisScaled' : 'RedisScaleFailed',
        message: `${actuator.type}: ${outcome.message}`,
      });
      this.#move(STATES[outcome.kind], outcome.message);
      await this.#save();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      log.error({ pool: this.#tag, code: errorCode(error) }, 'the actuator of Redis broke off');
      metrics.countActuation(actuator.type, 'failed');
      this.#move('Failed', errorCode(error));
      await this.#save();
    }
  }

  #request(): ScaleRequest {
    const { pool, spec, clock } = this.#options;
    const thresholds = {
      memory: thresholdOf('memory', spec.scaleAt),
      clients: thresholdOf('clients', spec.scaleAt),
      operations: thresholdOf('operations', spec.scaleAt),
    };
    const load = this.#load ?? { memory: undefined, clients: undefined, operations: undefined };
    return { key: this.#record?.key ?? '', pool, needs: this.#memory.needs, load, thresholds, atMs: clock.wallMs() };
  }

  #move(state: ActuationState, message: string): void {
    if (this.#record) this.#set({ ...this.#record, state, message });
    if (state === 'Accepted') void this.#save();
  }

  #set(record: ActuationRecord): void {
    this.#record = record;
    this.#unsaved = true;
  }

  /** False when it could not be written; the next reading tries again. */
  async #save(): Promise<boolean> {
    const record = this.#record;
    if (!record) return true;
    try {
      await this.#options.persist(record);
      if (this.#record === record) this.#unsaved = false;
      return true;
    } catch (error) {
      this.#options.log.warn(
        { pool: this.#tag, code: errorCode(error) },
        'the request to Redis’ actuator is not written down',
      );
      return false;
    }
  }
}
