import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { KeyVersion, VaultKey } from './vault.ts';

type Saved = [name: string, key: { deletedSeconds: number | null; versions: SavedVersion[] }][];
type SavedVersion = Omit<KeyVersion, 'privateKey' | 'publicKey'> & { pem: string };

/** Keys of an earlier run; none when the file is not there. */
export function loadKeys(path: string): [string, VaultKey][] {
  if (!existsSync(path)) return [];
  const saved = JSON.parse(readFileSync(path, 'utf8')) as Saved;
  return saved.map(([name, { deletedSeconds, versions }]) => {
    const loaded = versions.map(({ pem, ...rest }): KeyVersion => {
      const privateKey = createPrivateKey(pem);
      return { ...rest, privateKey, publicKey: createPublicKey(privateKey) };
    });
    return [name, { deletedSeconds: deletedSeconds ?? undefined, versions: loaded }];
  });
}

/** In one step, for the owner alone: these are the only keys that open what the vault has wrapped. */
export function saveKeys(path: string, keys: Iterable<[string, VaultKey]>): void {
  const saved = [...keys].map(([name, { deletedSeconds = null, versions }]) => {
    const pems = versions.map(({ privateKey, publicKey: _public, ...rest }) => ({
      ...rest,
      pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }));
    return [name, { deletedSeconds, versions: pems }];
  }) satisfies Saved;
  writeFileSync(`${path}.new`, JSON.stringify(saved), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
