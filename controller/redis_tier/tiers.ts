import type { TokenCredential } from '@azure/identity';
import type { PoolRef } from '../../contract/ids.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Random } from '../../platform/random.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import type { PoolEvent } from '../pool/ports.ts';
import { PUBLIC_ARM_ENDPOINT } from './arm_client.ts';
import { AzureActuator } from './azure.ts';
import { CooldownGate } from './gate.ts';
import { type TierMetrics, tierMetrics } from './metrics.ts';
import type { ActuationRecord, RedisActuator, TierSpec } from './ports.ts';
import { TierSampler } from './sampler.ts';
import { RedisTier } from './tier.ts';
import { WebhookActuator } from './webhook.ts';

export interface RedisTiersOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  /** Of the cloud that the Redis resources are in; the public one unless told otherwise. */
  readonly armEndpoint?: string;
  /** Who this controller is in Entra ID; asked for when the first pool needs it. */
  readonly credential: () => TokenCredential;
}

export interface OpenTier {
  readonly pool: PoolRef;
  readonly spec: TierSpec;
  /** The same for pools that share the server. Holds credentials: never logged. */
  readonly redisId: string;
  /** `host:port`, for logs and labels. */
  readonly redisAddress: string;
  readonly client: Pick<RedisClient, 'command'>;
  /** Keys of the pool's Secret, decoded. */
  readonly secret: Readonly<Record<string, string>>;
  readonly remembered: ActuationRecord | undefined;
  readonly persist: (record: ActuationRecord) => Promise<void>;
  readonly onEvent: (event: PoolEvent) => void;
}

interface Shared {
  readonly sampler: TierSampler;
  readonly gate: CooldownGate;
  users: number;
}

/** The Redis servers of all pools of one controller term: each is read once and asked for more once, however many pools use it. */
export class RedisTiers {
  readonly #options: RedisTiersOptions;
  readonly #metrics: TierMetrics;
  readonly #shared = new Map<string, Shared>();
  #credential: TokenCredential | undefined;

  constructor(options: RedisTiersOptions) {
    this.#options = options;
    this.#metrics = tierMetrics(options.registry);
  }

  /** `close` of what comes back lets go of the server as well. The client must stay open until then. */
  open(options: OpenTier): RedisTier {
    const { clock, random, log } = this.#options;
    const { redisId } = options;
    const shared = this.#share(options);
    return new RedisTier({
      ...options,
      ...{ clock, random, log, metrics: this.#metrics, sampler: shared.sampler, gate: shared.gate },
      actuator: this.#actuator(options),
      onClosed: () => this.#release(redisId),
    });
  }

  /** Reads every server now, besides the readings of its period. */
  async readAll(): Promise<void> {
    await Promise.all([...this.#shared.values()].map(({ sampler }) => sampler.sample()));
  }

  #share({ redisId, redisAddress: redis, client }: OpenTier): Shared {
    const { clock, random, log } = this.#options;
    const known = this.#shared.get(redisId);
    if (known) {
      known.users += 1;
      return known;
    }
    const sampler = new TierSampler({ client, redis, clock, random, log, metrics: this.#metrics });
    const shared = { sampler, gate: new CooldownGate(), users: 1 };
    this.#shared.set(redisId, shared);
    return shared;
  }

  #release(redisId: string): void {
    const shared = this.#shared.get(redisId);
    if (!shared || --shared.users > 0) return;
    shared.sampler.close();
    this.#shared.delete(redisId);
  }

  #actuator({ spec, secret }: OpenTier): RedisActuator | undefined {
    const { clock, random, armEndpoint = PUBLIC_ARM_ENDPOINT } = this.#options;
    const { type, webhook, azure } = spec.actuator;
    if (type === 'Webhook' && webhook) {
      const { url, signingKey: keyName } = webhook;
      return new WebhookActuator({ url, keyName, signingKey: secret[keyName], clock, random });
    }
    if (type !== 'AzureResourceManager' || !azure) return undefined;
    this.#credential ??= this.#options.credential();
    const { resourceId, skus } = azure;
    return new AzureActuator({ resourceId, skus, credential: this.#credential, endpoint: armEndpoint, clock, random });
  }
}
