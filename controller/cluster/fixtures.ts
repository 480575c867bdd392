import { FIELD_MANAGER } from '../../contract/labels.ts';
import { errorCode } from '../../platform/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

/** One kind of object that stands beside a pool's workers. */
export interface FixtureKind<T extends KubeObject> {
  readonly resource: Resource<T>;
  readonly informer: Informer<T>;
}

/** True when `actual` has everything that `desired` says; what others add to it is theirs. */
export function holds(actual: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    return (
      Array.isArray(actual) &&
      actual.length === desired.length &&
      desired.every((entry, at) => holds(actual[at], entry))
    );
  }
  if (desired !== null && typeof desired === 'object') {
    if (actual === null || typeof actual !== 'object') return false;
    const fields = actual as Record<string, unknown>;
    return Object.entries(desired).every(([name, value]) => value === undefined || holds(fields[name], value));
  }
  return actual === desired;
}

/**
 * Applies the object unless it stands as it should; an object that somebody changed or deleted is put right. One that is not in the cache, and so
 * not ours, is not taken over: that is a conflict.
 */
export async function ensure<T extends KubeObject>(
  client: KubeClient,
  { resource, informer }: FixtureKind<T>,
  desired: T,
): Promise<void> {
  const actual = informer.get(desired.metadata.namespace, desired.metadata.name);
  if (actual && holds(actual, desired)) return;
  await client.apply(resource, desired, { fieldManager: FIELD_MANAGER, force: actual !== undefined });
}

/** Deletes those of `existing` that nobody wants any more. */
export async function prune<T extends KubeObject>(
  client: KubeClient,
  { resource }: FixtureKind<T>,
  existing: readonly T[],
  wanted: ReadonlySet<string>,
): Promise<void> {
  for (const { metadata } of existing) {
    if (wanted.has(metadata.name) || metadata.deletionTimestamp !== undefined) continue;
    const { name, namespace, uid } = metadata;
    const identity = uid === undefined ? {} : { uid };
    await client.delete(resource, { name, ...(namespace === undefined ? {} : { namespace }) }, identity);
  }
}

/** The kind itself is not installed in this cluster. */
export function kindIsMissing(error: unknown): boolean {
  return errorCode(error) === 'ERR_KUBE_REQUEST' && (error as { status?: number }).status === 404;
}
