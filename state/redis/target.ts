import { defineError } from '../../platform/errors.ts';
import type { KeyLayout } from '../keys/key_manager.ts';

export const REDIS_TARGET_INVALID = defineError('ERR_REDIS_TARGET_INVALID', {
  status: 500,
  message: 'the address of Redis is not valid',
  remedy:
    'Set RTVOICE_REDIS_MODE and RTVOICE_REDIS_URL as docs/settings.md describes them, for example `rediss://user:password@h1:6379,h2:6379/0?master=name`; user and password are percent-encoded.',
});

export const REDIS_MODES = ['Standalone', 'Sentinel', 'Cluster', 'Enterprise'] as const;
/**
 * `Standalone`: one server. `Sentinel`: a master that Sentinels name. `Cluster`: shards that the client knows (the OSS policy of Azure Managed Redis).
 * `Enterprise`: shards behind one proxy, an ordinary server to the client, but one script may still touch one slot only.
 */
export type RedisMode = (typeof REDIS_MODES)[number];

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is and how to speak to it. Holds the password: never logged. */
export interface RedisTarget {
  readonly mode: RedisMode;
  /** The server, the proxy, the Sentinels, or some nodes of the cluster; at least one. */
  readonly nodes: readonly [RedisAddress, ...RedisAddress[]];
  readonly tls: boolean;
  /** Sentinel only. */
  readonly master: string | undefined;
  /** Sentinel only: the Sentinels ask for the same user and password as the servers. */
  readonly sentinelAuth: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const URL_PARTS = /^(rediss?):\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^/?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;
const DEFAULT_PORTS: Readonly<Record<RedisMode, number>> = {
  Standalone: 6379,
  Sentinel: 26_379,
  Cluster: 6379,
  Enterprise: 10_000,
};
const NODES_MAX = 32;
const DATABASE_MAX = 65_535;

/** `redis://` or `rediss://`, `user:password@`, one or several `host:port`, `/database`, `?master=name`. Fails with ERR_REDIS_TARGET_INVALID, which never shows the text itself. */
export function parseRedisTarget(mode: RedisMode, url: string): RedisTarget {
  const parts = URL_PARTS.exec(url.trim());
  if (!parts) {
    throw REDIS_TARGET_INVALID.with(
      'RTVOICE_REDIS_URL is not of the form `redis[s]://[user:password@]host[:port][,host[:port]…][/database]`',
    );
  }
  const [, scheme, login, hosts = '', database, query] = parts;
  const nodes = parseNodes(mode, hosts);
  const options = parseQuery(mode, query);
  return {
    mode,
    nodes,
    tls: scheme === 'rediss',
    ...options,
    ...parseLogin(login),
    database: parseDatabase(mode, database),
  };
}

/** The key layout that a mode needs: where slots exist, keys that one script uses must share one. */
export function keyLayoutOf(mode: RedisMode): KeyLayout {
  return mode === 'Cluster' || mode === 'Enterprise' ? 'cluster' : 'standalone';
}

/** `host:port`, as logs and labels name a server. */
export function addressText({ host, port }: RedisAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseNodes(mode: RedisMode, hosts: string): RedisTarget['nodes'] {
  const nodes = hosts.split(',').map((text) => {
    const found = HOST.exec(text.trim());
    const host = found?.[1] ?? found?.[2];
    const port = Number(found?.[3] ?? DEFAULT_PORTS[mode]);
    if (host === undefined) {
      throw REDIS_TARGET_INVALID.with(
        hosts === '' ? 'RTVOICE_REDIS_URL names no host' : 'a host of RTVOICE_REDIS_URL is not of the form `host:port`',
      );
    }
    if (port < 1 || port > 65_535) throw REDIS_TARGET_INVALID.with(`the port of ${host} is not within 1 to 65535`);
    return { host, port };
  });
  const [first, ...more] = nodes;
  if (first === undefined || nodes.length > NODES_MAX) {
    throw REDIS_TARGET_INVALID.with(`RTVOICE_REDIS_URL names ${nodes.length} hosts; it may name 1 to ${NODES_MAX}`);
  }
  if (more.length > 0 && (mode === 'Standalone' || mode === 'Enterprise')) {
    throw REDIS_TARGET_INVALID.with(
      `RTVOICE_REDIS_URL names ${nodes.length} hosts, but RTVOICE_REDIS_MODE ${mode} takes one; set Sentinel or Cluster`,
    );
  }
  return [first, ...more];
}

function parseLogin(login: string | undefined): Pick<RedisTarget, 'user' | 'password'> {
  if (login === undefined || login === '') return { user: undefined, password: undefined };
  const at = login.indexOf(':');
  const user = decoded(at < 0 ? login : login.slice(0, at), 'user');
  const password = at < 0 ? '' : decoded(login.slice(at + 1), 'password');
  return { user: user === '' ? undefined : user, password: password === '' ? undefined : password };
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw REDIS_TARGET_INVALID.with(`the ${part} of RTVOICE_REDIS_URL is not percent-encoded (write % as %25)`);
  }
}

function parseDatabase(mode: RedisMode, text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const database = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(database <= DATABASE_MAX)) {
    throw REDIS_TARGET_INVALID.with(`the database of RTVOICE_REDIS_URL is not a number of at most ${DATABASE_MAX}`);
  }
  if (database !== 0 && keyLayoutOf(mode) === 'cluster') {
    throw REDIS_TARGET_INVALID.with(`RTVOICE_REDIS_MODE ${mode} has database 0 only; leave the database out`);
  }
  return database;
}

function parseQuery(mode: RedisMode, query: string | undefined): Pick<RedisTarget, 'master' | 'sentinelAuth'> {
  const fields = new URLSearchParams(query ?? '');
  for (const name of fields.keys()) {
    if (name !== 'master' && name !== 'sentinelAuth') {
      throw REDIS_TARGET_INVALID.with('RTVOICE_REDIS_URL has a parameter other than `master` and `sentinelAuth`');
    }
    if (mode !== 'Sentinel') {
      throw REDIS_TARGET_INVALID.with(
        `the parameter ${name} of RTVOICE_REDIS_URL belongs to RTVOICE_REDIS_MODE Sentinel, not ${mode}`,
      );
    }
  }
  const master = fields.get('master') ?? undefined;
  if (mode === 'Sentinel' && !/^[A-Za-z0-9._-]{1,128}$/.test(master ?? '')) {
    throw REDIS_TARGET_INVALID.with(
      'RTVOICE_REDIS_URL needs `?master=<name>`, the name that the Sentinels give the master',
    );
  }
  const sentinelAuth = fields.get('sentinelAuth') ?? 'false';
  if (sentinelAuth !== 'true' && sentinelAuth !== 'false') {
    throw REDIS_TARGET_INVALID.with('the parameter sentinelAuth of RTVOICE_REDIS_URL is neither true nor false');
  }
  return { master, sentinelAuth: sentinelAuth === 'true' };
}
