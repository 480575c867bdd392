import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { Random } from '../platform/random.ts';

/** What every part of one worker process shares. */
export interface Process {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly worker: string;
  readonly incarnation: string;
}
