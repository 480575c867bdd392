import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { type Clock, systemClock } from '../../platform/clock.ts';
import { KUBE_CREDENTIALS } from './errors.ts';

export interface TlsFiles {
  /** PEM; undefined takes the system's authorities. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly rejectUnauthorized: boolean | undefined;
  /** Name that the server's certificate must carry, when it is not the host of the URL. */
  readonly servername?: string | undefined;
  /** Another stamp means that connections have to be made anew. */
  readonly stamp: string;
}

/** Where the API server is, and how to be known there. `token` and `tls` are asked for every request and remember what they have read. */
export interface KubeEndpoint {
  readonly url: string;
  token(): Promise<string | undefined>;
  tls(): Promise<TlsFiles>;
  /** The server did not take the token: it is read anew for the next request. */
  refused?(): void;
}

/** The kubelet renews the token long before it ends; client-go reads it as often. */
const TOKEN_READ_MS = 60_000;
const CA_CHECK_MS = 60_000;
/** A kubeconfig may run a program for its token. */
const KUBECONFIG_READ_MS = 60_000;

/** From a kubeconfig file, or of the Pod that this process runs in. Throws ERR_KUBE_CREDENTIALS. */
export async function kubeEndpoint(
  serviceAccountFolder: string,
  kubeconfig?: string,
  clock: Clock = systemClock,
): Promise<KubeEndpoint> {
  return kubeconfig === undefined
    ? podEndpoint(serviceAccountFolder, process.env, clock)
    : await kubeconfigEndpoint(kubeconfig, clock);
}

/** The service account of a Pod. */
export function podEndpoint(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock = systemClock,
): KubeEndpoint {
  const [host, port] = [env.KUBERNETES_SERVICE_HOST, env.KUBERNETES_SERVICE_PORT];
  if (!host || !port || !existsSync(`${folder}/token`)) {
    throw KUBE_CREDENTIALS.with('this process runs in no Pod with a service account token');
  }
  const token = new Remembered(clock, TOKEN_READ_MS, () => readToken(`${folder}/token`));
  const tls = new Remembered(clock, CA_CHECK_MS, async () => {
    const file = `${folder}/ca.crt`;
    const [ca, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    return { ca, cert: undefined, key: undefined, rejectUnauthorized: undefined, stamp: `${mtimeMs} ${ca.length}` };
  });
  return {
    url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    token: () => token.get(),
    tls: () => tls.get(),
    refused: () => token.renew(),
  };
}

async function readToken(file: string): Promise<string> {
  const token = (await readFile(file, 'utf8')).trim();
  if (token === '') throw KUBE_CREDENTIALS.with(`${file} is empty`);
  return token;
}

interface HttpsOptions {
  headers: Record<string, string>;
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  rejectUnauthorized?: boolean;
  servername?: string;
}

/** The official client reads the file and knows every way to a token; nothing else of it is used, and it is loaded only here. */
async function kubeconfigEndpoint(path: string, clock: Clock): Promise<KubeEndpoint> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (cause) {
    throw KUBE_CREDENTIALS.with(`${path} cannot be read`, cause);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw KUBE_CREDENTIALS.with(`${path} names no current cluster`);
  const read = new Remembered(clock, KUBECONFIG_READ_MS, async () => {
    const options: HttpsOptions = { headers: {} };
    await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
    const { ca, cert, key, rejectUnauthorized, servername, headers } = options;
    const texts = { ca: ca?.toString(), cert: cert?.toString(), key: key?.toString() };
    const stamp = createHash('sha256')
      .update(JSON.stringify([texts, servername]))
      .digest('base64url');
    const token = headers.Authorization?.replace(/^Bearer /, '').trim();
    return { token, tls: { ...texts, rejectUnauthorized, servername, stamp } };
  });
  return {
    url: cluster.server,
    token: async () => (await read.get()).token,
    tls: async () => (await read.get()).tls,
    refused: () => read.renew(),
  };
}

/** A value that is read again after `periodMs`. A failure is told while there is nothing to go on with, else the last value serves until the next try. */
class Remembered<T> {
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #read: () => Promise<T>;
  #kept: { readonly untilMs: number; readonly value: T } | undefined;
  #reading: Promise<T> | undefined;

  constructor(clock: Clock, periodMs: number, read: () => Promise<T>) {
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#read = read;
  }

  get(): Promise<T> {
    if (this.#kept && this.#clock.monotonicMs() < this.#kept.untilMs) return Promise.resolve(this.#kept.value);
    this.#reading ??= this.#readAgain();
    return this.#reading;
  }

  /** The value is no good any more. */
  renew(): void {
    if (this.#kept) this.#kept = { ...this.#kept, untilMs: Number.NEGATIVE_INFINITY };
  }

  async #readAgain(): Promise<T> {
    try {
      return this.#keep(await this.#read());
    } catch (error) {
      // Should the old value be refused as well, the server says so and that is logged.
      if (this.#kept) return this.#keep(this.#kept.value);
      throw error;
    } finally {
      this.#reading = undefined;
    }
  }

  #keep(value: T): T {
    this.#kept = { untilMs: this.#clock.monotonicMs() + this.#periodMs, value };
    return value;
  }
}
