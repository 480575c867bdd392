import { errorCode } from '../../platform/errors.ts';
import { rewrapCallerKey, type TenantKeys, type WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';
import type { RewrapStore } from './caller_key_store.ts';

export interface RewrapProgress {
  readonly store: RewrapStore['name'];
  readonly rewrapped: number;
  /** Erased or wrapped anew by somebody else in between. */
  readonly skipped: number;
  /** Cannot be unwrapped; they stay as they are. Key ids and codes of the first of them. */
  readonly failed: number;
  readonly failures: readonly { readonly kid: string; readonly code: string }[];
}

const MAX_FAILURES = 20;

/**
 * Wraps every caller key of a store by the newest tenant key. Records are not touched, readers notice nothing, and a run that was
 * cut short goes on where it ended: what is done is no longer outdated. Rejects with the store's error.
 */
export async function rewrapStore(
  store: RewrapStore,
  tenantKeys: TenantKeys,
  options: { signal?: AbortSignal; onProgress?: (progress: RewrapProgress) => void } = {},
): Promise<RewrapProgress> {
  const newest = await tenantKeys.newest();
  const failures: { kid: string; code: string }[] = [];
  const count = { rewrapped: 0, skipped: 0, failed: 0 };
  for await (const key of store.outdated(newest.id)) {
    if (options.signal?.aborted) break;
    const next = await rewrapped(tenantKeys, newest, key);
    if ('code' in next) {
      count.failed += 1;
      if (failures.length < MAX_FAILURES) failures.push({ kid: key.kid, code: next.code });
    } else count[(await store.replace(key, next)) ? 'rewrapped' : 'skipped'] += 1;
    options.onProgress?.({ store: store.name, ...count, failures });
  }
  return { store: store.name, ...count, failures };
}

async function rewrapped(
  tenantKeys: TenantKeys,
  newest: Awaited<ReturnType<TenantKeys['newest']>>,
  key: WrappedCallerKey,
): Promise<WrappedCallerKey | { code: string }> {
  try {
    return rewrapCallerKey(await tenantKeys.byId(key.tk), newest, key);
  } catch (error) {
    return { code: errorCode(error) };
  }
}
