import { randomBytes } from 'node:crypto';

/** Randomness as a port, so that a simulation can replay a seed. */
export interface Random {
  /** `length` characters of [a-z0-9], cryptographically random in production. */
  id(length: number): string;
  /** In [0, 1). */
  fraction(): number;
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

export const systemRandom: Random = {
  id(length) {
    let out = '';
    while (out.length < length) {
      // 252 is the largest multiple of 36 in a byte: taking only those below keeps every letter equally likely.
      for (const byte of randomBytes(length)) if (byte < 252 && out.length < length) out += ALPHABET[byte % 36];
    }
    return out;
  },
  fraction: () => randomBytes(4).readUInt32LE() / 2 ** 32,
};

/** A repeatable sequence (mulberry32) for tests and simulations. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    fraction,
    id: (length) => Array.from({ length }, () => ALPHABET[Math.floor(fraction() * 36)]).join(''),
  };
}
