import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free_port.ts';
import { makeTls } from '../state/tls.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { Cleanup } from './redis_cleanup.ts';

/** A redis-server with TLS beside the plain port, which a test uses to set it up. */
export interface TestTlsRedis extends AsyncDisposable {
  readonly redis: TestRedis;
  readonly tlsPort: number;
  readonly caPem: string;
  readonly caFile: string;
}

/** `protocols`: of `tls-protocols`, TLS 1.3 alone unless told otherwise. */
export async function startTlsRedis(options: { protocols?: string } = {}): Promise<TestTlsRedis> {
  const cleanup = new Cleanup();
  try {
    const keys = cleanup.use(await makeServerKeys(options));
    const tlsPort = await freePort();
    const redis = cleanup.use(await startRedis({ args: ['--tls-port', `${tlsPort}`, ...keys.args] }));
    return {
      redis,
      tlsPort,
      caPem: keys.caPem,
      caFile: keys.caFile,
      [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
    };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

/** Key and certificate of a server in a folder that goes with it. `args`: those of redis-server that name them. */
export async function makeServerKeys(
  options: { protocols?: string; names?: readonly string[] } = {},
): Promise<AsyncDisposable & { readonly args: readonly string[]; readonly caPem: string; readonly caFile: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-redis-tls-'));
  const tls = await makeTls(options.names);
  const path = (name: string) => join(directory, name);
  await writeFile(path('server.key'), tls.key);
  await writeFile(path('server.pem'), tls.cert);
  await writeFile(path('ca.pem'), tls.caPem);
  return {
    args: [
      ...['--tls-protocols', options.protocols ?? 'TLSv1.3', '--tls-auth-clients', 'no'],
      ...['--tls-key-file', path('server.key'), '--tls-cert-file', path('server.pem')],
      ...['--tls-ca-cert-file', path('ca.pem')],
    ],
    caPem: tls.caPem,
    caFile: path('ca.pem'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
