import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '../platform/clock.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import { createLog } from '../platform/log.ts';
import { startAzure } from './azure.ts';
import type { PortFile } from './client.ts';
import { startControl } from './control/server.ts';

const USAGE =
  'usage: simulators/main --dir <folder> --port-file <file> [--speech-dir <folder>] [--media-redial never|once|backOffThenFail]';
const STOP_MS = 5_000;

/** The simulated Azure as a process. Takes RTVOICE_EVENTGRID_KEYS from the environment when it is set, its first key alone. */
async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      dir: { type: 'string' },
      'port-file': { type: 'string' },
      'speech-dir': { type: 'string' },
      'media-redial': { type: 'string', default: 'backOffThenFail' },
    },
  });
  const { dir, 'port-file': portFile, 'speech-dir': speechDir, 'media-redial': mediaRedial } = values;
  if (!dir || !portFile) throw new Error(`--dir and --port-file are needed; ${USAGE}`);
  if (mediaRedial !== 'never' && mediaRedial !== 'once' && mediaRedial !== 'backOffThenFail')
    throw new Error(`--media-redial is unknown; ${USAGE}`);
  const log = createLog({ process: 'azure' });
  const lifecycle = new Lifecycle(systemClock, log);
  lifecycle.exitOnSignals();
  const [eventGridKey] = (process.env.RTVOICE_EVENTGRID_KEYS ?? '').split(',').filter(Boolean);
  const azure = await startAzure({
    ...{ dir, mediaRedial, keepDocuments: true },
    ...(speechDir ? { speechDir } : {}),
    ...(eventGridKey ? { eventGridKey } : {}),
  });
  lifecycle.onStop('azure', STOP_MS, () => azure.stop());
  const token = randomBytes(24).toString('base64url');
  const control = await startControl(azure, { token });
  lifecycle.onStop('control', STOP_MS, () => control.stop());
  const content: PortFile = { env: { ...azure.env }, controlUrl: control.url, token, pid: process.pid };
  writeFileSync(`${portFile}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${portFile}.new`, portFile);
  lifecycle.onStop('port file', STOP_MS, () => rmSync(portFile, { force: true }));
  log.info({ controlUrl: control.url, acs: azure.acs.url }, 'the simulated Azure is up');
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`simulators: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
