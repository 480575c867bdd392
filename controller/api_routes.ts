import { z } from 'zod';
import { parsePool } from '../contract/pool.ts';
import type { PlacementExplanation } from '../state/ports.ts';
import { REQUEST_INVALID } from './errors.ts';
import type { PoolManager } from './manager.ts';
import type { Explanation } from './pool/scaling/explanations.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

type Handler = (
  match: RegExpExecArray,
  request: { body: string; query: URLSearchParams },
) => Promise<ApiAnswer> | ApiAnswer;

export interface ApiRoute {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: RegExp;
  readonly handle: Handler;
}

/** Which pool a question is about. `namespace` is undefined in local mode, where there is one. */
export interface PoolQuestion {
  readonly namespace: string | undefined;
  readonly pool: string | undefined;
}

/** What every controller can be asked, in a cluster and on one machine. */
export interface Operations {
  list(): unknown;
  explain(question: PoolQuestion): readonly Explanation[];
  explainPlacement(question: PoolQuestion): Promise<PlacementExplanation>;
  drain(worker: string, options: { namespace: string | undefined; deadlineMs: number | undefined }): Promise<void>;
}

const MAX_REPLICAS = 10_000;
const MAX_SECONDS = 7 * 86_400;

const SCALE = z.strictObject({ replicas: z.int().min(0).max(MAX_REPLICAS) });
const DRAIN = z.strictObject({ deadlineSeconds: z.number().min(0).max(MAX_SECONDS).optional() });
const SHUTDOWN = z.strictObject({ graceSeconds: z.number().min(0).max(3_600).default(5) });

export function commonRoutes(operations: Operations): ApiRoute[] {
  return [
    { method: 'GET', path: /^\/pools$/, handle: () => ok({ pools: operations.list() }) },
    {
      method: 'POST',
      path: /^\/workers\/([a-z0-9-]{1,63})\/drain$/,
      handle: async ([, worker = ''], { body, query }) => {
        const { deadlineSeconds } = parse(DRAIN, body);
        const deadlineMs = deadlineSeconds === undefined ? undefined : deadlineSeconds * 1000;
        await operations.drain(worker, { namespace: questionOf(query).namespace, deadlineMs });
        return { status: 202, body: { worker, draining: true } };
      },
    },
    {
      method: 'GET',
      path: /^\/explain\/scale$/,
      handle: (_match, { query }) => ok({ decisions: operations.explain(questionOf(query)) }),
    },
    {
      method: 'GET',
      path: /^\/explain\/placement$/,
      handle: async (_match, { query }) => ok(await operations.explainPlacement(questionOf(query))),
    },
  ];
}

/** In a cluster `kubectl` does these. `shutdown` ends the pools' processes and then this one. */
export function localRoutes(manager: PoolManager, shutdown: (graceMs: number) => void): ApiRoute[] {
  return [
    {
      method: 'PUT',
      path: /^\/pools$/,
      handle: async (_match, { body }) => ok(await manager.apply(parsePool(body))),
    },
    {
      method: 'POST',
      path: /^\/pools\/([a-z0-9-]{1,40})\/scale$/,
      handle: async ([, name = ''], { body }) => {
        const { replicas } = parse(SCALE, body);
        await manager.scale(name, replicas);
        return ok({ name, replicas });
      },
    },
    {
      method: 'POST',
      path: /^\/shutdown$/,
      handle: (_match, { body }) => {
        const { graceSeconds } = parse(SHUTDOWN, body);
        setImmediate(() => shutdown(graceSeconds * 1000));
        return { status: 202, body: { stopping: true } };
      },
    },
  ];
}

function questionOf(query: URLSearchParams): PoolQuestion {
  return { namespace: query.get('namespace') ?? undefined, pool: query.get('pool') ?? undefined };
}

function ok(body: unknown): ApiAnswer {
  return { status: 200, body };
}

function parse<T>(schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = body === '' ? {} : JSON.parse(body);
  } catch (cause) {
    throw REQUEST_INVALID.with('the body is not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw REQUEST_INVALID.with(
    parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; '),
  );
}
