import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { defineError } from '../../platform/errors.ts';

export const SPAWN_FAILED = defineError('ERR_SPAWN_FAILED', {
  status: 500,
  message: 'a process could not be started',
  remedy: 'Check that the machine has memory and process slots left, and that the path of the script is right.',
});

/** Variables of the environment that a worker or the front may see: ours, Azure's, and what Node itself needs. */
const PASSED = /^(RTVOICE_|AZURE_|NODE_EXTRA_CA_CERTS$|NODE_OPTIONS$|PATH$|HOME$|TZ$|LANG$|TMPDIR$)/;

export function passedEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && PASSED.test(name)) passed[name] = value;
  return passed;
}

/** Starts a script in a session of its own with its output in a file: neither a signal to our terminal nor our death reaches it. */
export async function spawnDetached(options: {
  script: string;
  env: Record<string, string>;
  logPath: string;
}): Promise<ChildProcess> {
  const log = openSync(options.logPath, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [options.script], {
      detached: true,
      stdio: ['ignore', log, log],
      env: options.env,
      // The folder that is current here may go away before the process does.
      cwd: '/',
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(SPAWN_FAILED.with(options.script, error)));
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}
