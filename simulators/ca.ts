import { execFile } from 'node:child_process';
import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { defineError } from '../platform/errors.ts';

export const CERTIFICATE_FAILED = defineError('ERR_SIMULATOR_CERTIFICATE', {
  status: 500,
  message: 'the local certificate authority could not be made',
  remedy: 'Install the `openssl` command and make the folder writable.',
});

export interface CertificateAuthority {
  /** PEM of the authority: what NODE_EXTRA_CA_CERTS names. */
  readonly caFile: string;
  /** A key and certificate (PEM) for the given DNS names and IP addresses; kept in the folder and used again. */
  server(names: readonly string[]): Promise<{ key: string; cert: string }>;
}

const AUTHORITY_DAYS = 365;
const SERVER_DAYS = 90;
/** What ends sooner than this is made anew, so that nothing expires under a process that has just started. */
const MIN_REMAINING_MS = 7 * 86_400_000;
const KEY_OPTIONS = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

const run = promisify(execFile);

/** The authority in `dir`; made with `openssl` when it is not there or about to expire. */
export async function ensureCertificateAuthority(dir: string): Promise<CertificateAuthority> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files = { key: join(dir, 'ca.key'), cert: join(dir, 'ca.pem') };
  if (!(await stillValid(files.cert))) {
    await openssl([
      'req',
      '-x509',
      ...KEY_OPTIONS,
      ...['-keyout', `${files.key}.new`, '-out', `${files.cert}.new`],
      ...['-subj', '/CN=rtvoice local authority', '-days', String(AUTHORITY_DAYS)],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ]);
    await chmod(`${files.key}.new`, 0o600);
    // The certificate comes last: whoever finds it can rely on the key.
    await rename(`${files.key}.new`, files.key);
    await rename(`${files.cert}.new`, files.cert);
  }
  return { caFile: files.cert, server: (names) => serverCertificate(dir, files, names) };
}

async function serverCertificate(
  dir: string,
  authority: { key: string; cert: string },
  names: readonly string[],
): Promise<{ key: string; cert: string }> {
  const [first] = names;
  if (first === undefined) throw CERTIFICATE_FAILED.with('a server certificate needs at least one name');
  const id = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16);
  const files = { key: join(dir, `server-${id}.key`), cert: join(dir, `server-${id}.pem`) };
  if (!(await stillValid(files.cert, authority.cert))) await sign(dir, authority, names, files);
  const [key, cert] = await Promise.all([readFile(files.key, 'utf8'), readFile(files.cert, 'utf8')]);
  return { key, cert };
}

async function sign(
  dir: string,
  authority: { key: string; cert: string },
  names: readonly string[],
  files: { key: string; cert: string },
): Promise<void> {
  const scratch = join(dir, `.${randomUUID()}`);
  const at = { key: `${scratch}.key`, cert: `${scratch}.pem`, request: `${scratch}.csr`, extensions: `${scratch}.ext` };
  try {
    const alternatives = names.map((name) => `${isIP(name) ? 'IP' : 'DNS'}:${name}`).join(',');
    // The servers of a cluster are each other's clients under the same certificate.
    await writeFile(at.extensions, `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    await openssl(['req', ...KEY_OPTIONS, '-keyout', at.key, '-out', at.request, '-subj', '/CN=rtvoice simulator']);
    await openssl([
      ...['x509', '-req', '-in', at.request, '-CA', authority.cert, '-CAkey', authority.key],
      // A random serial number needs no file that two processes could write at once.
      ...['-set_serial', `0x${randomUUID().replaceAll('-', '')}`],
      ...['-out', at.cert, '-days', String(SERVER_DAYS), '-extfile', at.extensions],
    ]);
    await chmod(at.key, 0o600);
    await rename(at.key, files.key);
    await rename(at.cert, files.cert);
  } finally {
    await Promise.all(Object.values(at).map((file) => rm(file, { force: true })));
  }
}

/** False too when the file is not there, is no certificate, or was signed by an earlier authority. */
async function stillValid(file: string, authorityFile?: string): Promise<boolean> {
  try {
    const certificate = new X509Certificate(await readFile(file));
    if (Date.parse(certificate.validTo) - Date.now() < MIN_REMAINING_MS) return false;
    if (authorityFile === undefined) return true;
    return certificate.verify(new X509Certificate(await readFile(authorityFile)).publicKey);
  } catch {
    return false;
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await run('openssl', [...args]);
  } catch (error) {
    throw CERTIFICATE_FAILED.with(`openssl ${args[0]}`, error);
  }
}
