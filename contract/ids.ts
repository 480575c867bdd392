import { createHash } from 'node:crypto';
import type { Random } from '../platform/random.ts';

/** Identifiers that may stand in a key or URL as they are. */
export const IDENTIFIER = /^[A-Za-z0-9._-]{1,128}$/;
export const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const POOL_NAME_MAX = 40;

/** `<namespace>.<pool>`: what every worker identifier and pool key carries. */
export type PoolTag = `${string}.${string}`;

export interface PoolRef {
  readonly namespace: string;
  readonly pool: string;
}

export function poolTag(ref: PoolRef): PoolTag {
  return `${ref.namespace}.${ref.pool}`;
}

/** `<pool>-<5 letters>`; in a cluster the Pod's name. */
export function newWorkerId(pool: string, random: Random): string {
  return `${pool}-${random.id(5)}`;
}

/** One per process start, since a container can restart inside its Pod. */
export function newIncarnation(random: Random): string {
  return random.id(12);
}

/** Made when a call is placed and never changed: URLs, tokens and leases use it. */
export function newCallRef(random: Random): string {
  return random.id(20);
}

/** Recognises a redelivered IncomingCall; a call that is transferred back has a new context and so is a new ring. */
export function ringId(correlationId: string, incomingCallContext: string): string {
  return createHash('sha256').update(correlationId).update('\0').update(incomingCallContext).digest('hex').slice(0, 32);
}

/** The identifier itself when it fits the grammar, else `h-` and a hash of it. */
export function safeIdentifier(id: string): string {
  return IDENTIFIER.test(id) ? id : `h-${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
}
