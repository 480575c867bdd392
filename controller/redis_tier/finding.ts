import type { PoolSpec } from '../../contract/pool.ts';
import type { Finding } from '../pool/finding.ts';
import type { ActuationRecord } from './ports.ts';
import { type RedisResource, type TierLoad, thresholdOf } from './rule.ts';
import type { TierSample } from './sampler.ts';

type ScaleAt = PoolSpec['redis']['scaleAt'];

const REASONS: Readonly<Record<RedisResource, string>> = {
  memory: 'Memory',
  clients: 'Clients',
  operations: 'Operations',
};
const ACTUATIONS: Readonly<Record<ActuationRecord['state'], string>> = {
  Requested: 'the actuator is being asked',
  Accepted: 'the actuator is at work',
  Done: 'the actuator has acted',
  Refused: 'the actuator refuses',
  Failed: 'the actuator has failed and is asked again after its cooldown',
};

/** The condition `RedisScaleNeeded`, from what is known now. Pure. */
export function tierFinding(options: {
  scaleAt: ScaleAt;
  sample: TierSample;
  load: TierLoad | undefined;
  needs: readonly RedisResource[];
  /** The last request of this pool, if it says anything of the need of now. */
  record: ActuationRecord | undefined;
  /** Another pool has asked for the same Redis, and its cooldown is not over. */
  askedBy: string | undefined;
}): Finding {
  const { scaleAt, sample, load, needs, record, askedBy } = options;
  const type = 'RedisScaleNeeded';
  const blind = sample.kind === 'missing' ? `Redis tells no figures now: ${sample.reason}` : undefined;
  const [first] = needs;
  if (first === undefined) {
    const message = blind ?? calm(load, scaleAt);
    return { type, status: 'False', reason: blind ? 'NoFigures' : 'WithinMarks', message };
  }
  const acted = record ? `${ACTUATIONS[record.state]}: ${record.message}` : undefined;
  const other = askedBy === undefined ? undefined : `${askedBy}, which uses the same Redis, has asked for more already`;
  const parts = [describe(needs, scaleAt), 'workers are not added for it', blind, acted ?? other];
  return { type, status: 'True', reason: REASONS[first], message: parts.filter(Boolean).join('; ') };
}

function describe(resources: readonly RedisResource[], scaleAt: ScaleAt): string {
  return resources.map((resource) => over(resource, thresholdOf(resource, scaleAt))).join('; ');
}

/** Without the figures, which move all the time and stand in the metrics: a status is written when it says something new. */
function over(resource: RedisResource, mark: number): string {
  switch (resource) {
    case 'memory':
      return `over ${mark} % of its memory limit is in use`;
    case 'clients':
      return `over ${mark} % of the connections are in use`;
    case 'operations':
      return `over ${mark} operations a second and shard are asked of it`;
  }
}

function calm(load: TierLoad | undefined, scaleAt: ScaleAt): string {
  const { memoryPercent, clientsPercent, operationsPerSecondPerShard } = scaleAt;
  const unknown =
    load?.memory === undefined
      ? '; Redis has or tells no memory limit, so its share cannot be known: set maxmemory'
      : '';
  return `under ${memoryPercent} % of memory, ${clientsPercent} % of connections and ${operationsPerSecondPerShard} operations a second and shard${unknown}`;
}
