import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCertificateAuthority } from '../../simulators/ca.ts';

export interface TestTls {
  caPem: string;
  key: string;
  cert: string;
}

/** The local authority of the simulators in a folder of its own, and a certificate that it signed: for 127.0.0.1 and localhost unless told otherwise. */
export async function makeTls(names: readonly string[] = ['127.0.0.1', 'localhost']): Promise<TestTls> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-tls-'));
  try {
    const authority = await ensureCertificateAuthority(directory);
    const server = await authority.server([...names]);
    return { caPem: await readFile(authority.caFile, 'utf8'), ...server };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
