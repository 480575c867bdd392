import { Agent, request } from 'undici';
import { INTERNAL } from '../../contract/urls.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { fairDeadline } from './deadline.ts';
import type { OwnerAnswer } from './owner_search.ts';

/** Requests to the internal listeners of other workers. Nothing here throws: no answer is an answer. */
export interface OwnerClient {
  /** Passes a callback body on unchanged. */
  relayEvents(endpoint: string, callRef: string, body: Buffer): Promise<OwnerAnswer<undefined>>;
  close(): Promise<void>;
}

const MAX_ANSWER_BYTES = 64 * 1024;

export function createOwnerClient(options: {
  authorization: string;
  /** How long an owner may take to answer a relayed callback. */
  answerMs: number;
  clock: Clock;
  log: Log;
}): OwnerClient {
  const { authorization, answerMs, clock, log } = options;
  // The deadline of each request is its abort signal; the agent's own timeouts have a grain of a second.
  const agent = new Agent({
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    connect: { timeout: 2_000 },
    allowH2: false,
  });

  async function post(url: string, body: Buffer): Promise<number | undefined> {
    const abort = new AbortController();
    const timer = fairDeadline(clock, answerMs, () => abort.abort(new Error(`no answer within ${answerMs} ms`)));
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body,
        signal: abort.signal,
      });
      await answer.body.dump({ limit: MAX_ANSWER_BYTES });
      return answer.statusCode;
    } catch (error) {
      log.debug({ code: errorCode(error) }, 'a worker gave no answer');
      return undefined;
    } finally {
      timer.cancel();
    }
  }

  return {
    async relayEvents(endpoint, callRef, body) {
      const status = await post(endpoint + INTERNAL.relayEvents(callRef), body);
      return status === 200 ? { kind: 'served', value: undefined } : refusalOf(status, log);
    },
    close: () => agent.close(),
  };
}

/** What an answer other than a success means to the one who asked. */
export function refusalOf(status: number | undefined, log: Log): OwnerAnswer<never> {
  if (status === undefined) return { kind: 'noAnswer' };
  if (status === 421 || status === 404) return { kind: 'denied' };
  log.warn({ status }, 'the owner of a call refused a relayed request');
  return { kind: 'failed' };
}
