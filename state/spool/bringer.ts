import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { CallKeys } from '../calls/keys.ts';
import type { LeaseTable } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { BRING_SCRIPT } from './bring_script.ts';
import { readSpool, removeSpool, takeAbandoned } from './folders.ts';
import type { SpoolRecord } from './frames.ts';
import type { SpoolMetrics } from './metrics.ts';

export interface BringerOptions {
  /** Where processes of this machine keep their spools. */
  parent: string;
  /** The patient client: this is background work. */
  redis: RedisClient;
  keys: CallKeys;
  unsent: Pick<LeaseTable, 'enterUnsent'>;
  outboxTtlMs: number;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: SpoolMetrics;
  periodMs?: number;
}

const PERIOD_MS = 10_000;
const BATCH = 64;

/** Brings to Redis what dead processes of this machine left in their spools: an earlier start of this container, or a neighbour in local mode. */
export class SpoolBringer {
  readonly #options: BringerOptions;
  /** Taken folders that Redis does not have completely. */
  readonly #folders = new Set<string>();
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BringerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.periodMs ?? PERIOD_MS, () => void this.run());
    void this.run();
  }

  /** What was not brought stays on the disk, for the next process. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#pass;
  }

  /** One pass; never rejects. Calls while one is under way share it. */
  run(): Promise<void> {
    this.#pass ??= this.#run().finally(() => {
      this.#pass = undefined;
    });
    return this.#pass;
  }

  async #run(): Promise<void> {
    const { parent, random, log } = this.#options;
    try {
      for (const folder of await takeAbandoned(parent, () => random.id(12))) this.#folders.add(folder);
    } catch (error) {
      log.warn({ code: errorCode(error) }, 'the folder of the spools cannot be looked through');
    }
    for (const folder of this.#folders) {
      if (this.#stopped) return;
      try {
        await this.#bring(folder);
        this.#folders.delete(folder);
      } catch (error) {
        // Redis is away, or something is wrong with this one: it stays, and the next pass tries again.
        log.warn({ code: errorCode(error), folders: this.#folders.size }, 'an abandoned spool waits to be brought');
      }
    }
  }

  async #bring(folder: string): Promise<void> {
    const { log, unsent } = this.#options;
    const { records, torn } = await readSpool(folder);
    for (const [callConnectionId, ofCall] of Map.groupBy(records, (record) => record.callConnectionId)) {
      for (let at = 0; at < ofCall.length; at += BATCH)
        await this.#append(callConnectionId, ofCall.slice(at, at + BATCH));
      const callRef = ofCall[0]?.callRef;
      if (callRef !== undefined) await unsent.enterUnsent(callRef, callConnectionId);
    }
    await removeSpool(folder);
    log.info({ records: records.length, tornBytes: torn }, 'the spool of a gone process is in Redis');
  }

  async #append(callConnectionId: string, records: readonly SpoolRecord[]): Promise<void> {
    const { redis, keys, metrics, outboxTtlMs } = this.#options;
    const args = records.flatMap(({ dedupeId, entryId, kind, text }) => [dedupeId, entryId, kind, text]);
    const added = await redis.run<number>(
      BRING_SCRIPT,
      [keys.outbox(callConnectionId), keys.outboxIds(callConnectionId)],
      [outboxTtlMs, ...args],
    );
    metrics.brought('new', added);
    metrics.brought('known', records.length - added);
  }
}
