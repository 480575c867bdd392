import { bearerOf, createSharedKeys } from './shared_keys.ts';

/** Authentication between the processes of one pool: a bearer key on the internal listener. */
export interface InternalKeys {
  /** Judges an `Authorization` header. */
  accepts(authorization: string | undefined): boolean;
  /** The `Authorization` header to send. */
  readonly authorization: string;
}

export function createInternalKeys(keys: readonly string[]): InternalKeys {
  const shared = createSharedKeys(keys);
  return {
    accepts: (authorization) => shared.accepts(bearerOf(authorization)),
    authorization: `Bearer ${shared.current}`,
  };
}
