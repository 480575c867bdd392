import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Azure } from '../../simulators/azure.ts';
import { AzureControl, type CallProgress, type PortFile } from '../../simulators/client.ts';
import { FarEnd, trust, until } from './far_end.ts';

test('as a process: port file, calls over the control API, faults, and a clean end on SIGTERM', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rtvoice-simulators-'));
  const portFile = join(dir, 'azure.json');
  const entry = fileURLToPath(new URL('../../simulators/main.ts', import.meta.url));
  const child = spawn(process.execPath, [entry, '--dir', join(dir, 'azure'), '--port-file', portFile], {
    env: { ...process.env, RTVOICE_EVENTGRID_KEYS: 'first-key-of-the-grid,second-key-of-the-grid' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    await until(() => existsSync(portFile), 'the port file is there');
    const { env, controlUrl, token, pid } = JSON.parse(readFileSync(portFile, 'utf8')) as PortFile;
    assert.equal(pid, child.pid);
    assert.equal(env.RTVOICE_EVENTGRID_KEYS, 'first-key-of-the-grid');
    const known = { env, acs: { url: env.RTVOICE_ACS_ENDPOINT, accessKey: '' } } as unknown as Azure;
    trust(known);
    const control = new AzureControl({ url: controlUrl, token });
    await conversation(control);
    await assert.rejects(new AzureControl({ url: controlUrl, token: 'wrong' }).status(), /401/);
    await assert.rejects(
      control.placeCall({ ringUrl: 'http://127.0.0.1:1/', script: [{ kind: 'sing' } as never] }),
      /script\[0/,
    );
    await control.faults({ acs: { keysAway: true }, cosmos: { down: true }, mediaRedial: 'once' });
    assert.equal((await fetch(env.RTVOICE_ACS_JWKS_URL ?? '')).status, 503);
    assert.deepEqual(await control.transcript('nobody'), []);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
    assert.equal(existsSync(portFile), false);
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
    await exited;
    rmSync(dir, { recursive: true });
  }
});

/** A call nobody answers and one that is hung up over the API; both are told to their end. */
async function conversation(control: AzureControl): Promise<void> {
  const farEnd = await FarEnd.start({ acs: { url: 'https://127.0.0.1:1', accessKey: 'a2V5' } } as Azure, {
    answerAlone: false,
  });
  const id = await control.placeCall({ ringUrl: farEnd.ringUrl, script: [] });
  const seen: CallProgress[] = [];
  for await (const event of control.events(id)) {
    seen.push(event);
    if (event.type === 'ringAttempt') await control.hangUp(id);
  }
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ringAttempt', 'ended'],
  );
  assert.equal((await control.call(id)).outcome, 'abandoned');
  assert.deepEqual((await control.status()).calls, { ringing: 0, live: 0, ended: 1 });
  await farEnd.stop();
}
