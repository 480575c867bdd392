import { rootCertificates } from 'node:tls';
import { Agent, request } from 'undici';

export interface Reply {
  /** 0 when there was no answer. */
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

/** Sends the service's own requests to workers, over http or https with public and local authorities. */
export class Poster {
  readonly #agent: Agent;

  constructor(localAuthority: string) {
    this.#agent = new Agent({ connect: { ca: [...rootCertificates, localAuthority] }, keepAliveTimeout: 4_000 });
  }

  async send(
    method: 'POST' | 'OPTIONS',
    url: string,
    options: { headers: Record<string, string>; body?: string; timeoutMs: number },
  ): Promise<Reply> {
    try {
      const { statusCode, headers, body } = await request(url, {
        method,
        headers: options.headers,
        body: options.body ?? null,
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(options.timeoutMs),
      });
      return { status: statusCode, headers, body: await body.text() };
    } catch {
      // Refused, reset or silent: for a sender of webhooks all the same.
      return { status: 0, headers: {}, body: '' };
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
