import { randomUUID } from 'node:crypto';

/** One Azure Managed Redis as Azure Resource Manager shows it. */
export interface RedisResource {
  readonly id: string;
  readonly location: string;
  /** The SKU it runs on; a change ends here when it has succeeded. */
  sku: { name: string; capacity?: number };
  provisioningState: 'Succeeded' | 'Updating' | 'Failed';
}

export interface Operation {
  readonly id: string;
  readonly resource: RedisResource;
  readonly wanted: RedisResource['sku'];
  /** Status requests that are still answered with `Updating`. */
  pollsLeft: number;
  status: 'Updating' | 'Succeeded' | 'Failed';
  readonly startTime: string;
  endTime: string | undefined;
  readonly failure: { code: string; message: string } | undefined;
}

/** Begins the change; the resource says `Updating` until it is over. */
export function beginUpdate(
  resource: RedisResource,
  wanted: RedisResource['sku'],
  options: { polls: number; failure: Operation['failure'] },
): Operation {
  resource.provisioningState = 'Updating';
  return {
    id: randomUUID(),
    resource,
    wanted,
    pollsLeft: options.polls,
    status: 'Updating',
    startTime: new Date().toISOString(),
    endTime: undefined,
    failure: options.failure,
  };
}

/** One look at it; the last one that was asked for ends it. */
export function poll(operation: Operation): void {
  if (operation.status !== 'Updating') return;
  if (operation.pollsLeft > 0) {
    operation.pollsLeft -= 1;
    return;
  }
  const { resource, failure, wanted } = operation;
  operation.status = failure ? 'Failed' : 'Succeeded';
  operation.endTime = new Date().toISOString();
  resource.provisioningState = operation.status;
  if (!failure) resource.sku = wanted;
}

export function describeResource({ id, location, sku, provisioningState }: RedisResource): Record<string, unknown> {
  const name = id.split('/').at(-1);
  return {
    ...{ id, name, type: 'Microsoft.Cache/redisEnterprise', location, kind: 'v2', sku },
    properties: {
      hostName: `${name}.${location}.redis.azure.net`,
      provisioningState,
      resourceState: provisioningState === 'Updating' ? 'Scaling' : 'Running',
      minimumTlsVersion: '1.2',
      redisVersion: '7.4',
    },
  };
}

export function describeOperation(operation: Operation, id: string): Record<string, unknown> {
  const { status, startTime, endTime, failure } = operation;
  return {
    ...{ id, name: operation.id, status, startTime },
    ...(endTime ? { endTime } : {}),
    ...(status === 'Failed' ? { error: failure } : {}),
  };
}
