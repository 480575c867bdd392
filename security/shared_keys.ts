import { createHash, timingSafeEqual } from 'node:crypto';

export interface SharedKeys {
  /** True when `presented` is one of the keys. The time taken depends neither on which key nor on how much of it fits. */
  accepts(presented: string | undefined): boolean;
  /** The first key: the one to send. */
  readonly current: string;
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Secrets that overlap during a rotation: the first is sent, all are accepted. */
export function createSharedKeys(keys: readonly string[]): SharedKeys {
  const [current] = keys;
  if (current === undefined) throw new RangeError('at least one key is needed');
  // Digests have one length, so that not even the length of a key shows in the time.
  const accepted = keys.map(digest);
  return {
    current,
    accepts(presented) {
      const candidate = digest(presented ?? '');
      let found = false;
      for (const key of accepted) found = timingSafeEqual(candidate, key) || found;
      return found && presented !== undefined;
    },
  };
}

/** The credentials of an `Authorization: Bearer …` header; undefined when it is no such header. */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8) return undefined;
  return authorization.slice(0, 7).toLowerCase() === 'bearer ' ? authorization.slice(7).trim() : undefined;
}
