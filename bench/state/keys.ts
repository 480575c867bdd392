import { Component } from '../../state/keys/component.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { median } from './statistics.ts';

const KEYS = 200_000;
const ROUNDS = 9;

/** Nanoseconds for one key of a call, each with another identifier. */
export function keyBuildNs(): number {
  const keys = new RedisKeyManager({ environment: 'prod', layout: 'cluster' });
  const ids = Array.from({ length: 1_000 }, (_, n) => `0f3c2a10-${n}-4d5e-9b7a-77aa00bb${n}`);
  const rounds: number[] = [];
  let length = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = process.hrtime.bigint();
    for (let n = 0; n < KEYS; n++) length += keys.callKey(ids[n % ids.length] ?? '', Component.SESSION).length;
    rounds.push(Number(process.hrtime.bigint() - startNs) / KEYS);
  }
  // Without a use of the result the loop could be left out.
  if (length === 0) throw new Error('no key was built');
  return median(rounds);
}
