import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { KEY_RING_INVALID } from './errors.ts';

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const bytes = z.string().regex(/^[A-Za-z0-9_-]+$/, 'must be base64url');
/** The key itself: for one machine, where no vault is. */
const plainKey = z.strictObject({ id, key: bytes.length(43, 'must be 32 bytes') });
/** Wrapped by a key of Key Vault: without the vault it says nothing. */
const wrappedKey = z.strictObject({
  id,
  wrappedBy: z.url({ protocol: /^https$/ }),
  alg: z.literal('RSA-OAEP-256'),
  wrapped: bytes,
});
const ring = z.strictObject({
  v: z.literal(1),
  tenant: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  /** The first wraps, all unwrap: a new key stands behind it until every process has read the file. */
  keys: z
    .array(z.union([wrappedKey, plainKey]))
    .min(1)
    .max(16)
    .refine((keys) => new Set(keys.map((each) => each.id)).size === keys.length, 'ids must differ'),
});

export type KeyRing = z.infer<typeof ring>;
export type RingEntry = KeyRing['keys'][number];
export type WrappedEntry = z.infer<typeof wrappedKey>;

/** Reads a ring. Rejects with ERR_KEY_RING_INVALID, also when keys in clear are open to others than the file's owner. */
export async function readKeyRing(path: string): Promise<KeyRing> {
  let value: unknown;
  let mode: number;
  try {
    mode = (await stat(path)).mode;
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    // The parser quotes what it read, which may be a key: only the error's name is told.
    throw KEY_RING_INVALID.with(`${path}: ${error instanceof SyntaxError ? 'not JSON' : 'cannot be read'}`);
  }
  const parsed = ring.safeParse(value);
  if (!parsed.success) throw KEY_RING_INVALID.with(`${path}: ${describe(parsed.error)}`);
  const inClear = parsed.data.keys.some((each) => 'key' in each);
  if (inClear && (mode & 0o077) !== 0)
    throw KEY_RING_INVALID.with(
      `${path}: holds keys in clear and others may use it (mode ${(mode & 0o777).toString(8)})`,
    );
  return parsed.data;
}

/** In one step, for the owner alone. Rejects with ERR_KEY_RING_INVALID, for example beyond 16 keys. */
export async function writeKeyRing(path: string, value: KeyRing): Promise<void> {
  const checked = ring.safeParse(value);
  if (!checked.success) throw KEY_RING_INVALID.with(`${path}: ${describe(checked.error)}`);
  const next = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(next, `${JSON.stringify(checked.data, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    await chmod(next, 0o600);
    await rename(next, path);
  } finally {
    await rm(next, { force: true });
  }
}

/** Where and what, never the value. */
function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join(', ');
}
