import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RtvoiceError } from '../platform/errors.ts';
import { isRunning, type ProcessIdentity } from '../platform/processes.ts';
import { LOCAL_MODE_AWAY } from './dev/controller_client.ts';
import { DEFAULT_STATE_DIR } from './dev/state_dir.ts';

/** Where a controller answers, and with which token. */
export interface ControllerAddress {
  readonly url: string;
  readonly token: string;
}

/** Options of every verb that asks a controller: the local mode's by its state folder, one in a cluster by address and token. */
export const controllerOptions = {
  'state-dir': { type: 'string', default: DEFAULT_STATE_DIR },
  /** Such as `http://127.0.0.1:8082` behind `kubectl port-forward`; its token is RTVOICE_CONTROLLER_TOKEN. */
  controller: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
} as const;

export function addressOf(values: { 'state-dir': string; controller?: string | undefined }): ControllerAddress {
  if (values.controller === undefined) return localController(values['state-dir']);
  return { url: values.controller.replace(/\/$/, ''), token: process.env.RTVOICE_CONTROLLER_TOKEN ?? '' };
}

function localController(stateDir: string): ControllerAddress {
  try {
    const note = JSON.parse(readFileSync(join(stateDir, 'controller.json'), 'utf8')) as ProcessIdentity & {
      port: number;
    };
    if (!isRunning(note) || !note.port) throw LOCAL_MODE_AWAY.with(stateDir);
    const token = readFileSync(join(stateDir, 'controller.token'), 'utf8').trim();
    return { url: `http://127.0.0.1:${note.port}`, token };
  } catch (cause) {
    if (cause instanceof RtvoiceError) throw cause;
    throw LOCAL_MODE_AWAY.with(stateDir, cause);
  }
}
