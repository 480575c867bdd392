/** `npm run test:kind [-- part of a path...]`: the stories of test/e2e in a cluster of kind, which is made for the run and deleted after it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildImages } from '../../tools/cluster/image/build.ts';

const NAME = 'rtvoice';
const root = fileURLToPath(new URL('../..', import.meta.url));

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): number {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', cwd: root, env });
  if (error) throw new Error(`${program} cannot be run (${error.message}); install it and have it on the PATH`);
  return status ?? 1;
}

function must(program: string, ...args: string[]): void {
  const status = run(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
}

async function main(filters: readonly string[]): Promise<number> {
  for (const [program, ...args] of [
    ['docker', 'version'],
    ['kind', 'version'],
    ['kubectl', 'version', '--client'],
  ] as const) {
    must(program, ...args);
  }
  const images = await buildImages((line) => void process.stderr.write(`${line}\n`));
  const folder = mkdtempSync(join(tmpdir(), 'rtvoice-kind-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const config = join(root, 'test/kind/cluster.yaml');
  try {
    must('kind', 'create', 'cluster', '--name', NAME, '--config', config, '--kubeconfig', kubeconfig, '--wait', '120s');
    for (const { archive } of [images.rtvoice, images.tools])
      must('kind', 'load', 'image-archive', archive, '--name', NAME);
    const env = {
      ...process.env,
      RTVOICE_E2E_KUBECONFIG: kubeconfig,
      RTVOICE_E2E_KIND: NAME,
      RTVOICE_E2E_IMAGE: images.rtvoice.reference,
      RTVOICE_E2E_TOOLS_IMAGE: images.tools.reference,
    };
    return run(process.execPath, ['tools/test.ts', '--tier', 'e2e', ...filters], env);
  } finally {
    run('kind', ['delete', 'cluster', '--name', NAME, '--kubeconfig', kubeconfig]);
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`test:kind: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
