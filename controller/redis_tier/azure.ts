import { type Clock, sleep } from '../../platform/clock.ts';
import { ArmClient, type ArmClientOptions, type ArmRefusal, isRefusal, readResource, refusalOf } from './arm_client.ts';
import { followOperation } from './arm_operation.ts';
import type { NoReply, Reply } from './http.ts';
import type { ActuationOutcome, ActuationRun, RedisActuator, ScaleRequest } from './ports.ts';
import { nextSku } from './sku.ts';

export interface AzureActuatorOptions extends ArmClientOptions {
  /** SKUs that may be taken, smallest first. */
  readonly skus: readonly string[];
}

/** While somebody else changes the resource this is how often, and how many times, it is tried. */
const BUSY_WAIT_MS = 30_000;
const BUSY_TRIES = 4;

/** Moves an Azure Managed Redis to the next SKU of the list by Azure Resource Manager, and follows the change to its end. */
export class AzureActuator implements RedisActuator {
  readonly type = 'AzureResourceManager';
  readonly #options: AzureActuatorOptions;
  readonly #arm: ArmClient;

  constructor(options: AzureActuatorOptions) {
    this.#options = options;
    this.#arm = new ArmClient(options);
  }

  async scaleUp(_request: ScaleRequest, run: ActuationRun): Promise<ActuationOutcome> {
    const resource = await this.#arm.read(run.signal);
    if (isRefusal(resource)) return explain('it cannot be read', resource);
    // A change that is under way may be the cure: no second one is put on top of it.
    if (isUnderWay(resource.provisioningState)) return this.#finish(undefined, undefined, run);
    const step = nextSku(resource.sku.name, this.#options.skus);
    if (step.kind === 'none') return { kind: 'refused', message: step.reason };
    return this.#change({ ...resource.sku, name: step.sku }, resource.sku.name, run);
  }

  /** The change of before is followed by the resource itself; if there is none, nothing is begun. */
  resume(_request: ScaleRequest, run: ActuationRun): Promise<ActuationOutcome> {
    return this.#finish(undefined, undefined, run);
  }

  close(): Promise<void> {
    return this.#arm.close();
  }

  async #change(
    wanted: { name: string; capacity?: number },
    from: string,
    run: ActuationRun,
  ): Promise<ActuationOutcome> {
    const { clock } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const reply = await this.#arm.changeSku(wanted, run.signal);
      if (isTaken(reply)) {
        run.onAccepted(`from ${from} to ${wanted.name}`);
        return this.#finish(reply, wanted.name, run);
      }
      const refusal = refusalOf(reply);
      const again = refusal.status === 409 || refusal.status === 429 || refusal.status === 0 || refusal.status >= 500;
      if (!again || attempt >= BUSY_TRIES) return explain(`the change to ${wanted.name} was not taken`, refusal);
      await waitBusy(reply, clock, run.signal);
      // The answer may be lost and the change be under way, or somebody else's change may have done it.
      const now = await this.#arm.read(run.signal);
      if (!isRefusal(now) && (now.sku.name !== from || isUnderWay(now.provisioningState))) {
        run.onAccepted(`from ${from} to ${wanted.name}`);
        return this.#finish(undefined, wanted.name, run);
      }
    }
  }

  /** `reply`: the answer to the change, when there was one. `wanted`: undefined when any SKU will do. */
  async #finish(reply: Reply | undefined, wanted: string | undefined, run: ActuationRun): Promise<ActuationOutcome> {
    const end = await followOperation(this.#arm, reply, this.#options.clock, run.signal);
    if (end.kind !== 'succeeded') return { kind: 'failed', message: end.message };
    const { name } = end.resource.sku;
    if (wanted !== undefined && name !== wanted) {
      return { kind: 'failed', message: `the change ended, but the SKU is ${name}, not ${wanted}` };
    }
    return { kind: 'done', message: `the SKU is ${name}` };
  }
}

export function isUnderWay(provisioningState: string): boolean {
  return !['succeeded', 'failed', 'canceled'].includes(provisioningState.toLowerCase());
}

function isTaken(reply: Reply | NoReply): reply is Reply {
  return reply.kind === 'reply' && (reply.status === 202 || readResource(reply) !== undefined);
}

function waitBusy(reply: Reply | NoReply, clock: Clock, signal: AbortSignal): Promise<void> {
  const askedMs = reply.kind === 'none' ? undefined : reply.retryAfterMs;
  return sleep(clock, Math.min(askedMs ?? BUSY_WAIT_MS, BUSY_WAIT_MS * 4), signal);
}

/** What a person can do about it depends on the status alone. */
function explain(what: string, { status, code, message }: ArmRefusal): ActuationOutcome {
  const text = `${what}: ${[status || undefined, code, message].filter(Boolean).join(' ')}`;
  const remedies: Readonly<Record<number, string>> = {
    401: '; check the workload identity of the controller',
    403: '; give the identity of the controller a role with Microsoft.Cache/redisEnterprise/read and /write on the resource group',
    404: '; check spec.redis.actuator.azure.resourceId',
  };
  const passing = status === 0 || status === 409 || status === 429 || status >= 500;
  return { kind: passing ? 'failed' : 'refused', message: text + (remedies[status] ?? '') };
}
