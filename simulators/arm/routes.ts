import { isObject, parseObject } from '../http.ts';
import { type Answer, notFound, refusal, unauthorized } from './answers.ts';
import {
  beginUpdate,
  describeOperation,
  describeResource,
  type Operation,
  poll,
  type RedisResource,
} from './redis_resource.ts';
import type { ArmFaults, ChangeStyle } from './server.ts';

export interface Provider {
  url: string;
  readonly faults: ArmFaults;
  readonly resources: Map<string, RedisResource>;
  readonly operations: Map<string, Operation>;
  readonly changes: string[];
  readonly skus: readonly string[];
  readonly polls: number;
  readonly style: ChangeStyle;
}

interface Request {
  readonly method: string;
  readonly url: URL;
  readonly body: Buffer | undefined;
}

/** Of the specification: Azure/azure-rest-api-specs, Microsoft.Cache/RedisEnterprise/stable. */
const API_VERSIONS: readonly string[] = ['2025-04-01', '2025-07-01'];
const WRITE = 'Microsoft.Cache/redisEnterprise/write';
const READ_STATUS = 'Microsoft.Cache/locations/operationsStatus/read';

export function route(provider: Provider, request: Request, count: (label: string) => void): Answer | 'cut' {
  const { pathname, searchParams } = request.url;
  const label = `${request.method} ${kindOf(pathname)}`;
  count(label);
  const version = searchParams.get('api-version');
  if (version === null) {
    return refusal(400, 'MissingApiVersionParameter', 'The api-version query parameter is required for all requests.');
  }
  if (!API_VERSIONS.includes(version)) {
    return refusal(400, 'NoRegisteredProviderFound', `The API version '${version}' is not supported for the type.`);
  }
  switch (label) {
    case 'GET resource':
      return read(provider, pathname);
    case 'PATCH resource':
      return change(provider, request, version);
    case 'GET operationsStatus':
    case 'GET operationsResult':
      return follow(provider, pathname);
    default:
      return refusal(404, 'InvalidResourceType', 'The resource type could not be found.');
  }
}

function kindOf(path: string): string {
  const found = /\/locations\/[^/]+\/(operationsStatus|operationsResult)\/[^/]+$/.exec(path)?.[1];
  if (found) return found;
  return /\/providers\/microsoft\.cache\/redisenterprise\/[^/]+$/i.test(path) ? 'resource' : 'unknown';
}

const find = ({ resources }: Provider, path: string): RedisResource | undefined =>
  resources.get(decodeURIComponent(path).toLowerCase());

function read(provider: Provider, path: string): Answer {
  const resource = find(provider, path);
  if (!resource) return notFound(path);
  // A change goes on whether somebody looks at the operation or at the resource.
  for (const operation of provider.operations.values()) if (operation.resource === resource) poll(operation);
  return { status: 200, body: describeResource(resource) };
}

function change(provider: Provider, { url, body }: Request, version: string): Answer | 'cut' {
  const { faults, operations, changes, skus, polls } = provider;
  const resource = find(provider, url.pathname);
  if (!resource) return notFound(url.pathname);
  if (faults.forbidden) return unauthorized(WRITE, resource.id);
  if (faults.conflict > 0 || resource.provisioningState === 'Updating') {
    faults.conflict = Math.max(0, faults.conflict - 1);
    return refusal(409, 'Conflict', 'Another operation is in progress on the resource.');
  }
  const sku = body && parseObject(body)?.sku;
  const name = isObject(sku) ? sku.name : undefined;
  if (typeof name !== 'string' || !skus.includes(name)) {
    return refusal(400, 'InvalidSku', `The SKU '${String(name)}' is not valid for the resource.`);
  }
  const operation = beginUpdate(resource, { name }, { polls, failure: faults.failure });
  operations.set(operation.id, operation);
  changes.push(name);
  if (faults.replyLost > 0) {
    faults.replyLost -= 1;
    return 'cut';
  }
  return accepted(provider, operation, version);
}

function accepted({ url, style, faults }: Provider, operation: Operation, version: string): Answer {
  if (style === 'resource') return { status: 200, body: describeResource(operation.resource) };
  const { id, location } = operation.resource;
  const subscription = id.split('/').slice(0, 3).join('/');
  const at = (kind: string) =>
    `${url}${subscription}/providers/Microsoft.Cache/locations/${location}/${kind}/${operation.id}?api-version=${version}`;
  return {
    status: 202,
    headers: {
      'retry-after': String(faults.retryAfterSeconds),
      location: at('operationsResult'),
      ...(style === 'location' ? {} : { 'azure-asyncoperation': at('operationsStatus') }),
    },
  };
}

function follow({ operations, faults }: Provider, path: string): Answer {
  const operation = operations.get(path.split('/').at(-1) ?? '');
  if (!operation) return notFound(path);
  if (faults.statusForbidden) return unauthorized(READ_STATUS, path);
  poll(operation);
  const { status, failure, resource } = operation;
  const headers = { 'retry-after': String(faults.retryAfterSeconds) };
  if (kindOf(path) === 'operationsStatus') return { status: 200, body: describeOperation(operation, path), headers };
  if (status === 'Updating') return { status: 202, headers };
  if (failure) return refusal(409, failure.code, failure.message);
  return { status: 200, body: describeResource(resource) };
}
