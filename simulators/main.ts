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
  'usage: simulators/main --dir <folder> --port-file <file> [--speech-dir <folder>] [--media-redial never|once|backOffThenFail] [--host <name> --first-port <port>]';
const STOP_MS = 5_000;

/**
 * The simulated Azure as a process. Takes RTVOICE_EVENTGRID_KEYS (its first key alone) and RTVOICE_SIMULATOR_TOKEN from the environment when
 * they are set. With --host it listens on every address and calls itself by that name: ACS, Entra, Cosmos DB, control and Key Vault take the
 * ports from --first-port on, in this order.
 */
async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      dir: { type: 'string' },
      'port-file': { type: 'string' },
      'speech-dir': { type: 'string' },
      'media-redial': { type: 'string', default: 'backOffThenFail' },
      host: { type: 'string' },
      'first-port': { type: 'string' },
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
  const { host } = values;
  const first = Number(values['first-port'] ?? 8_440);
  const far = host === undefined ? undefined : { bindAddress: '0.0.0.0', host };
  const azure = await startAzure({
    ...{ dir, mediaRedial, keepDocuments: true },
    ...(far ? { place: far, ports: { acs: first, entra: first + 1, cosmos: first + 2, keyVault: first + 4 } } : {}),
    ...(speechDir ? { speechDir } : {}),
    ...(eventGridKey ? { eventGridKey } : {}),
  });
  lifecycle.onStop('azure', STOP_MS, () => azure.stop());
  const token = process.env.RTVOICE_SIMULATOR_TOKEN ?? randomBytes(24).toString('base64url');
  const control = await startControl(azure, {
    token,
    ...(far ? { bindAddress: far.bindAddress, port: first + 3 } : {}),
  });
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
