import { createRemoteJWKSet, customFetch, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import type { Clock } from '../platform/clock.ts';

type KeySet = ReturnType<typeof createRemoteJWKSet>;
export type SigningKey = Awaited<ReturnType<KeySet>>;

/** The issuer's published keys could not be fetched just now; says nothing about the token. */
export class KeysUnavailable extends Error {
  constructor(cause: unknown) {
    super('the signing keys cannot be fetched', { cause });
  }
}

export interface RemoteKeysOptions {
  url: string;
  clock: Clock;
  timeoutMs?: number;
  /** Keys are fetched anew in the background when they are older than this. */
  refreshAfterMs?: number;
  /** An unknown key id asks again at most this often: it comes from whoever sends the token. */
  unknownKeyCooldownMs?: number;
  /** After a failed fetch the next one waits this long. */
  failureCooldownMs?: number;
}

/** Short, since a key that the issuer has just begun to use must not keep callbacks and media of live calls out for long. */
const UNKNOWN_KEY_COOLDOWN_MS = 2_000;

/**
 * The issuer's key set. Keys once fetched stay usable for as long as the issuer cannot be reached: losing its endpoint must not
 * refuse the tokens of live calls.
 */
export function createRemoteKeys(
  options: RemoteKeysOptions,
): (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<SigningKey> {
  const { clock, refreshAfterMs = 600_000, failureCooldownMs = 2_000 } = options;
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  const keys = createRemoteJWKSet(new URL(options.url), {
    // Expiry is ours (below): the library would refuse all tokens once the keys are old and the issuer is away.
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: options.unknownKeyCooldownMs ?? UNKNOWN_KEY_COOLDOWN_MS,
    timeoutDuration: options.timeoutMs ?? 2_000,
    [customFetch]: async (url, init) => {
      if (clock.monotonicMs() - failedAtMs < failureCooldownMs)
        throw new KeysUnavailable('waiting after a failed fetch');
      try {
        const answer = await fetch(url, init);
        if (answer.status !== 200) throw new Error(`status ${answer.status}`);
        const copy = await bounded(answer);
        fetchedAtMs = clock.monotonicMs();
        return copy;
      } catch (error) {
        failedAtMs = clock.monotonicMs();
        throw new KeysUnavailable(error);
      }
    },
  });
  return async (header, token) => {
    if (keys.jwks() && clock.monotonicMs() - fetchedAtMs > refreshAfterMs && !keys.reloading) {
      // A failure is remembered by failedAtMs; the keys at hand go on.
      keys.reload().catch(() => undefined);
    }
    return keys(header, token);
  };
}

const MAX_KEY_SET_BYTES = 256 * 1024;

async function bounded(answer: Response): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_KEY_SET_BYTES) throw new Error('the key set is too large');
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: 200 });
}
