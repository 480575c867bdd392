import { Agent, request } from 'undici';
import type { HandOff } from '../../contract/records.ts';
import { INTERNAL } from '../../contract/urls.ts';

const HAND_OFF_MS = 1_000;

export type HandOffResult = 'accepted' | 'refused' | 'noAnswer';

/** Tells a worker that a call is placed on it: one hop, one second. Nobody depends on it alone, since renewals return what was not told. */
export class HandOffClient {
  readonly #agent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: HAND_OFF_MS } });
  readonly #key: string;

  constructor(internalKeys: readonly string[]) {
    this.#key = internalKeys[0] ?? '';
  }

  async send(endpoint: string, handOff: HandOff): Promise<HandOffResult> {
    if (endpoint === '') return 'noAnswer';
    try {
      const response = await request(`${endpoint}${INTERNAL.handOff}`, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
        body: JSON.stringify(handOff),
        signal: AbortSignal.timeout(HAND_OFF_MS),
      });
      await response.body.dump();
      return response.statusCode < 300 ? 'accepted' : 'refused';
    } catch {
      // Refused connection, reset or silence: the caller re-places, and counts it.
      return 'noAnswer';
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
