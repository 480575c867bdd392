import { DNS_LABEL, type PoolRef } from './ids.ts';

/** What a worker's public listener serves, parsed from the path alone. */
export type PublicRoute =
  | { kind: 'ring'; namespace: string; pool: string }
  | { kind: 'call'; namespace: string; pool: string; worker: string; callRef: string; leaf: 'events' | 'media' };

const RING = /^\/p\/([a-z0-9-]+)\/([a-z0-9-]+)\/events$/;
const CALL = /^\/w\/([a-z0-9-]+)\/([a-z0-9-]+)\/([a-z0-9-]+)\/c\/([a-z0-9]{8,40})\/(events|media)$/;

export function parsePublicPath(path: string): PublicRoute | undefined {
  const call = CALL.exec(path);
  if (call) {
    const [, namespace, pool, worker, callRef, leaf] = call as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    if (![namespace, pool, worker].every((label) => DNS_LABEL.test(label))) return undefined;
    return { kind: 'call', namespace, pool, worker, callRef, leaf: leaf as 'events' | 'media' };
  }
  const ring = RING.exec(path);
  if (!ring) return undefined;
  const [, namespace, pool] = ring as unknown as [string, string, string];
  return DNS_LABEL.test(namespace) && DNS_LABEL.test(pool) ? { kind: 'ring', namespace, pool } : undefined;
}

export function ringPath(ref: PoolRef): string {
  return `/p/${ref.namespace}/${ref.pool}/events`;
}

/** The one place that builds a call's public URLs; `token` is valid for the whole call since ACS uses the same URL for every callback and re-dial. */
export function callUrls(options: {
  publicUrl: string;
  ref: PoolRef;
  worker: string;
  callRef: string;
  token: string;
}): { callbackUrl: string; transportUrl: string } {
  const { publicUrl, ref, worker, callRef, token } = options;
  const base = `${publicUrl.replace(/\/$/, '')}/w/${ref.namespace}/${ref.pool}/${worker}/c/${callRef}`;
  return { callbackUrl: `${base}/events?t=${token}`, transportUrl: `${base.replace(/^http/, 'ws')}/media?t=${token}` };
}

/** Paths of a worker's internal listener. All but the probes need `Authorization: Bearer <internal key>`. */
export const INTERNAL = {
  handOff: '/internal/hand-off',
  relayEvents: (callRef: string) => `/internal/relay/${callRef}/events`,
  relayMedia: (callRef: string) => `/internal/relay/${callRef}/media`,
  drain: '/drain',
  livez: '/livez',
  readyz: '/readyz',
  healthz: '/healthz',
  metrics: '/metrics',
  statusz: '/statusz',
} as const;
