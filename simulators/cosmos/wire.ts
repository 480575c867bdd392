import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from './auth.ts';
import type { BeforeOperation } from './batch.ts';
import { badRequest } from './http_error.ts';

export interface Request {
  method: string;
  /** Decoded path: `dbs`, a database, `colls`, a container, `docs`, a document. */
  segments: string[];
  headers: IncomingHttpHeaders;
  body: unknown;
  caller: Caller;
  /** Where the client reaches the account. */
  endpoint: string;
  /** Trouble within a batch. */
  beforeOperation: BeforeOperation;
}

export interface Response {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Request units; 0 for what is not about documents. */
  charge?: number;
}

export function objectBody(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('The request body must be an object.');
  return body as Record<string, unknown>;
}
