/** `npm run cluster -- build | up [--bare] [ARCHIVE...] | run [CMD...] | down`: a real Kubernetes on this machine; see docs/cluster.md. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { enterArguments, insideEnvironment } from './cluster.ts';
import { buildImages, pauseImage } from './image/build.ts';
import { imageStore } from './image/store.ts';
import { FOLDER, keep, kept, startKeeper, stopKeeper } from './keeper.ts';
import { Layout } from './layout.ts';
import { binary } from './paths.ts';
import { prepareCluster } from './prepare.ts';

const say = (line: string) => void process.stderr.write(`cluster: ${line}\n`);
const seconds = (startMs: number) => ((performance.now() - startMs) / 1000).toFixed(1);
const USAGE = `usage: npm run cluster -- COMMAND
  build                     the programs of Kubernetes (once; about six minutes) and the images
  up [--bare] [ARCHIVE...]  a cluster of two nodes with the images of this checkout (--bare: without) and further OCI archives
  run [CMD...]              a program, or a shell, inside: in the network of the cluster, with kubectl and its KUBECONFIG
  down                      takes everything away
`;

async function build(): Promise<void> {
  await prepareCluster(say);
  const startMs = performance.now();
  const pause = await pauseImage();
  const images = Object.values(await buildImages(say));
  for (const { reference, archive } of [pause, ...images]) say(`image ${reference}: ${archive}`);
  say(`images ready in ${seconds(startMs)} s`);
}

async function up(args: readonly string[]): Promise<void> {
  const bare = args.includes('--bare');
  const further = args.filter((arg) => arg !== '--bare').map((path) => resolve(path));
  const unknown = args.find((arg) => arg.startsWith('-') && arg !== '--bare');
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}\n${USAGE}`);
  if (kept()) throw new Error('a cluster is up already; take it away first: npm run cluster -- down');
  await prepareCluster(say);
  const pause = await pauseImage();
  const images = bare ? [] : Object.values(await buildImages(say));
  const archives = [...[pause, ...images].map(({ archive }) => archive), ...further];
  await imageStore(archives, say);
  say(`starting two nodes; logs: ${FOLDER}/log`);
  const startMs = performance.now();
  const { kubeconfig } = await startKeeper(archives);
  say(`up in ${seconds(startMs)} s`);
  for (const { reference } of images) say(`image for Pods (imagePullPolicy: Never): ${reference}`);
  say(`from this machine: export KUBECONFIG=${kubeconfig}; ${binary('kubectl')} get nodes`);
  say('Pods and Services are reached from inside only: npm run cluster -- run CMD...');
}

async function run(args: readonly string[]): Promise<number> {
  const found = kept();
  if (!found) throw new Error('no cluster is up; start one: npm run cluster -- up');
  const [command = process.env.SHELL ?? 'sh', ...rest] = args;
  const env = insideEnvironment(new Layout(FOLDER));
  // The program gets the signals of the terminal by itself, and decides.
  process.on('SIGINT', () => undefined);
  const child = spawn('nsenter', [...enterArguments(found.init), command, ...rest], { stdio: 'inherit', env });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

async function down(): Promise<void> {
  const startMs = performance.now();
  say((await stopKeeper()) ? `down in ${seconds(startMs)} s` : 'no cluster was up');
}

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'build':
      await build();
      return 0;
    case 'up':
      await up(args);
      return 0;
    case 'run':
      return run(args);
    case 'down':
      await down();
      return 0;
    // What `up` leaves running.
    case 'keep':
      await keep(args);
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
