import type { IncomingHttpHeaders } from 'node:http';

const MAX_KEPT = 10_000;

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
}

/** Repeatable requests (OASIS): the same `repeatability-request-id` is applied once and gets the same answer again. */
export class Repeatability {
  readonly #answers = new Map<string, Promise<Answer>>();

  run(target: string, headers: IncomingHttpHeaders, apply: () => Promise<Answer>): Promise<Answer> {
    const id = headers['repeatability-request-id'];
    if (typeof id !== 'string') return apply();
    const key = `${id} ${target}`;
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = apply().then((made) => ({
      ...made,
      headers: { ...made.headers, 'repeatability-result': 'accepted' },
    }));
    this.#answers.set(key, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MAX_KEPT && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}
