import { type Clock, sleep } from '../../platform/clock.ts';
import {
  type ArmClient,
  FOREIGN_URL,
  isRefusal,
  parse,
  type RedisEnterprise,
  readResource,
  refusalOf,
} from './arm_client.ts';
import type { NoReply, Reply } from './http.ts';

export type OperationEnd =
  | { readonly kind: 'succeeded'; readonly resource: RedisEnterprise }
  /** It failed, was cancelled, or did not end within the limit. */
  | { readonly kind: 'failed'; readonly message: string };

/** Between two looks, when the service does not say; and what it may ask for. */
const WAIT_MS = 30_000;
const WAIT_MIN_MS = 1_000;
const WAIT_MAX_MS = 300_000;
/** A change of SKU copies the data to new machines; this is far beyond what it takes. */
const LIMIT_MS = 3 * 3_600_000;

type Look =
  | { readonly kind: 'waiting'; readonly reply: Reply | NoReply }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly message: string }
  /** The operation cannot be followed: the resource itself has to tell. */
  | { readonly kind: 'blind' };

/**
 * Follows a long-running operation to its end: `Azure-AsyncOperation`, else `Location`, else the resource's own `provisioningState`
 * (https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations). An identity that has its role on the resource
 * alone may not read operations, which are not below it: then the resource tells as well.
 */
export async function followOperation(
  arm: ArmClient,
  reply: Reply | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<OperationEnd> {
  const endMs = clock.monotonicMs() + LIMIT_MS;
  const statusUrl = reply?.headers['azure-asyncoperation'];
  const url = statusUrl ?? reply?.headers.location;
  let look: Look =
    url === undefined ? { kind: 'blind' } : { kind: 'waiting', reply: reply ?? { kind: 'none', code: '' } };
  while (clock.monotonicMs() < endMs) {
    if (look.kind === 'failed') return look;
    if (look.kind === 'ended' || look.kind === 'blind') {
      const end = await readEnd(arm, signal);
      if (end) return end;
      await sleep(clock, WAIT_MS, signal);
      continue;
    }
    await sleep(clock, waitMs(look.reply), signal);
    look = judge(await arm.follow(url ?? '', signal), statusUrl !== undefined);
  }
  return { kind: 'failed', message: `the change did not end within ${LIMIT_MS / 60_000} minutes` };
}

/** Undefined while the resource is being changed or cannot be read just now. */
async function readEnd(arm: ArmClient, signal: AbortSignal): Promise<OperationEnd | undefined> {
  const resource = await arm.read(signal);
  if (isRefusal(resource)) {
    const { status, code, message } = resource;
    return status === 0 || status === 429 || status >= 500
      ? undefined
      : { kind: 'failed', message: `the resource cannot be read: ${status} ${code} ${message}` };
  }
  switch (resource.provisioningState.toLowerCase()) {
    case 'succeeded':
      return { kind: 'succeeded', resource };
    case 'failed':
    case 'canceled':
      return { kind: 'failed', message: `the resource says ${resource.provisioningState}` };
    default:
      return undefined;
  }
}

function judge(reply: Reply | NoReply, isStatus: boolean): Look {
  if (reply.kind === 'none') return reply.code === FOREIGN_URL ? { kind: 'blind' } : { kind: 'waiting', reply };
  if (reply.status === 429 || reply.status >= 500) return { kind: 'waiting', reply };
  if ([401, 403, 404].includes(reply.status)) return { kind: 'blind' };
  if (!isStatus) {
    if (reply.status === 202) return { kind: 'waiting', reply };
    if (reply.status < 300 && (readResource(reply) || reply.body === '')) return { kind: 'ended' };
    const { status, code, message } = refusalOf(reply);
    return { kind: 'failed', message: `${status} ${code}: ${message}` };
  }
  const { status, error } = parse<{ status?: unknown; error?: { code?: unknown; message?: unknown } }>(reply.body);
  switch (String(status ?? '').toLowerCase()) {
    case 'succeeded':
      return { kind: 'ended' };
    case 'failed':
    case 'canceled':
      return {
        kind: 'failed',
        message: `${String(error?.code ?? status)}: ${String(error?.message ?? '')}`.slice(0, 400),
      };
    default:
      return { kind: 'waiting', reply };
  }
}

function waitMs(reply: Reply | NoReply): number {
  const askedMs = reply.kind === 'none' ? undefined : reply.retryAfterMs;
  return askedMs === undefined ? WAIT_MS : Math.min(WAIT_MAX_MS, Math.max(WAIT_MIN_MS, askedMs));
}
