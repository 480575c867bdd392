import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface Pki {
  readonly folder: string;
  readonly caFile: string;
  token(user: string): string;
  /** Path of a kubeconfig for the user. */
  kubeconfig(user: string, server: string, path?: string): string;
}

/** One authority, the certificates of the servers, and a static token for every user. */
export function createPki(
  folder: string,
  options: { users: readonly User[]; apiNames: readonly string[]; nodes: readonly { name: string; ip: string }[] },
): Pki {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (name: string) => join(folder, name);
  authority(at);
  certificate(at, 'apiserver', '/CN=kube-apiserver', 'serverAuth', options.apiNames);
  certificate(at, 'to-kubelet', '/O=system:masters/CN=apiserver-kubelet-client', 'clientAuth', []);
  for (const { name, ip } of options.nodes) certificate(at, name, `/CN=${name}`, 'serverAuth', [ip, name]);
  const serviceAccount = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(at('sa.key'), serviceAccount.privateKey, { mode: 0o600 });
  writeFileSync(at('sa.pub'), serviceAccount.publicKey);
  const tokens = new Map(options.users.map(({ name }) => [name, randomBytes(16).toString('hex')]));
  const rows = options.users.map(({ name, groups }) => `${tokens.get(name)},${name},${name},"${groups.join(',')}"`);
  writeFileSync(at('tokens.csv'), `${rows.join('\n')}\n`, { mode: 0o600 });
  const caFile = at('ca.crt');
  const token = (user: string) => {
    const found = tokens.get(user);
    if (found === undefined) throw new Error(`there is no user ${user}`);
    return found;
  };
  return {
    folder,
    caFile,
    token,
    kubeconfig(user, server, path = at(`${user.replaceAll(':', '-')}.kubeconfig`)) {
      writeFileSync(path, kubeconfig(server, caFile, token(user)), { mode: 0o600 });
      return path;
    },
  };
}

function authority(at: (name: string) => string): void {
  ecKey(at('ca.key'));
  openssl(['req', '-x509', '-new', '-key', at('ca.key'), '-subj', '/CN=kube-ca', '-days', '30', '-out', at('ca.crt')]);
}

function certificate(
  at: (name: string) => string,
  name: string,
  subject: string,
  usage: string,
  names: readonly string[],
): void {
  ecKey(at(`${name}.key`));
  openssl(['req', '-new', '-key', at(`${name}.key`), '-subj', subject, '-out', at(`${name}.csr`)]);
  const alternatives = names.map((one) => `${/^[\d.]+$/.test(one) ? 'IP' : 'DNS'}:${one}`).join(',');
  const lines = ['keyUsage=digitalSignature,keyEncipherment', `extendedKeyUsage=${usage}`];
  if (alternatives !== '') lines.push(`subjectAltName=${alternatives}`);
  writeFileSync(at(`${name}.ext`), `${lines.join('\n')}\n`);
  const signed = [
    '-CA',
    at('ca.crt'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '30',
    '-extfile',
    at(`${name}.ext`),
  ];
  openssl(['x509', '-req', '-in', at(`${name}.csr`), ...signed, '-out', at(`${name}.crt`)]);
}

function ecKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(path, privateKey, { mode: 0o600 });
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'ignore'] });
}

function kubeconfig(server: string, caFile: string, token: string): string {
  return JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: { token } }],
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority': caFile } }],
  });
}
