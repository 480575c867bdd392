import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureCertificateAuthority } from '../../simulators/ca.ts';

test('an authority signs for names and addresses, and is used again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rtvoice-ca-'));
  try {
    const authority = await ensureCertificateAuthority(dir);
    const first = await authority.server(['127.0.0.1', 'localhost']);
    const certificate = new X509Certificate(first.cert);
    assert.ok(certificate.verify(new X509Certificate(readFileSync(authority.caFile)).publicKey));
    assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(certificate.checkHost('localhost'), 'localhost');
    const again = await (await ensureCertificateAuthority(dir)).server(['127.0.0.1', 'localhost']);
    assert.deepEqual(again, first);
    assert.notEqual((await authority.server(['other.example'])).cert, first.cert);
    await assert.rejects(authority.server([]), { code: 'ERR_SIMULATOR_CERTIFICATE' });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a server certificate of an earlier authority is made anew', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rtvoice-ca-'));
  try {
    const first = await (await ensureCertificateAuthority(dir)).server(['localhost']);
    rmSync(join(dir, 'ca.pem'));
    const authority = await ensureCertificateAuthority(dir);
    const second = await authority.server(['localhost']);
    assert.notEqual(second.cert, first.cert);
    assert.ok(new X509Certificate(second.cert).verify(new X509Certificate(readFileSync(authority.caFile)).publicKey));
  } finally {
    rmSync(dir, { recursive: true });
  }
});
