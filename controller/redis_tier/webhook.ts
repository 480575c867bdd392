import { createHmac } from 'node:crypto';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import { BoundedHttp, isPassing, type NoReply, type Reply, waitToRetry } from './http.ts';
import type { ActuationOutcome, ActuationRun, RedisActuator, ScaleRequest } from './ports.ts';

const TIMEOUT_MS = 10_000;
const MAX_TRIES = 4;

/** `t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`, so that an old body cannot be sent again with a new time. */
export function signWebhook(key: string, body: string, unixSeconds: number): string {
  const v1 = createHmac('sha256', key).update(`${unixSeconds}.${body}`).digest('hex');
  return `t=${unixSeconds},v1=${v1}`;
}

/** What the receiver reads: version 1. Nothing in it names a caller or a credential. */
export function webhookBody({ key, pool, needs, load, thresholds, atMs }: ScaleRequest): string {
  return JSON.stringify({
    v: 1,
    event: 'RedisScaleNeeded',
    id: key,
    time: new Date(atMs).toISOString(),
    pool: { namespace: pool.namespace, name: pool.pool },
    needs: needs.map((resource) => ({ resource, value: load[resource] ?? null, threshold: thresholds[resource] })),
  });
}

export interface WebhookOptions {
  readonly url: string;
  /** Undefined when the pool's Secret has no such key: then nothing is sent, since nobody could tell who sent it. */
  readonly signingKey: string | undefined;
  /** Its name in the Secret. */
  readonly keyName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs?: number;
}

/** Posts the order to a receiver of the operator's. Any 2xx is taken as an order received. */
export class WebhookActuator implements RedisActuator {
  readonly type = 'Webhook';
  readonly #options: WebhookOptions;
  readonly #http: BoundedHttp;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#http = new BoundedHttp({ timeoutMs: options.timeoutMs ?? TIMEOUT_MS });
  }

  async scaleUp(request: ScaleRequest, { signal }: ActuationRun): Promise<ActuationOutcome> {
    const { clock, random, signingKey, keyName } = this.#options;
    if (!signingKey) return { kind: 'refused', message: `the pool's Secret has no key ${keyName}; add it` };
    const body = webhookBody(request);
    for (let attempt = 1; ; attempt++) {
      const reply = await this.#post(request.key, signingKey, body, signal);
      if (!isPassing(reply)) return outcomeOf(reply);
      if (attempt >= MAX_TRIES) return { kind: 'failed', message: `${describe(reply)}, ${attempt} times` };
      await waitToRetry(attempt, reply, { clock, random, signal });
    }
  }

  /** Under the key of the first time: a receiver that has it already acts on it once. */
  resume(request: ScaleRequest, run: ActuationRun): Promise<ActuationOutcome> {
    return this.scaleUp(request, run);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #post(key: string, signingKey: string, body: string, signal: AbortSignal): Promise<Reply | NoReply> {
    const { url, clock } = this.#options;
    // Signed anew for each try: receivers refuse old times.
    const signature = signWebhook(signingKey, body, Math.floor(clock.wallMs() / 1000));
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'rtvoice-controller',
      'idempotency-key': key,
      'x-rtvoice-signature': signature,
    };
    return this.#http.send({ method: 'POST', url, headers, body }, signal);
  }
}

function outcomeOf(reply: Reply | NoReply): ActuationOutcome {
  if (reply.kind === 'reply' && reply.status >= 200 && reply.status < 300)
    return { kind: 'done', message: 'the webhook has taken the request' };
  return { kind: 'refused', message: `${describe(reply)}; see its log` };
}

function describe(reply: Reply | NoReply): string {
  return reply.kind === 'none' ? `the webhook does not answer (${reply.code})` : `the webhook answers ${reply.status}`;
}
