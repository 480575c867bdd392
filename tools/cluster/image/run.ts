import { spawnSync } from 'node:child_process';

/** Standard output; throws with the end of standard error when it fails. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): string {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    ...(options.cwd ? { cwd: options.cwd } : {}),
    env: { ...process.env, ...options.env },
  });
  if (result.status === 0) return result.stdout;
  const why = [result.stderr, result.stdout].find((text) => (text ?? '').trim() !== '')?.slice(-2_000) ?? result.error;
  throw new Error(`${command} ${args.slice(0, 4).join(' ')} failed: ${why}`);
}

export function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
