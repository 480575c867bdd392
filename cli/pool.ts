import { parseArgs } from 'node:util';
import { readPool } from '../contract/pool.ts';
import { addressOf, type ControllerAddress, controllerOptions } from './controller_address.ts';
import { askController } from './controller_api.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { age, table } from './table.ts';

/** A pool as the controller's `GET /pools` tells it; only what is shown. */
export interface PoolAnswer {
  metadata: { name: string; namespace: string; generation: number; ageSeconds: number };
  spec: unknown;
  status?: {
    readyWorkers: number;
    wantedWorkers: number;
    drainingWorkers: number;
    activeCalls: number;
    capacity: number;
    utilizationPercent: number;
    redis: string;
    phase: 'Ready' | 'Progressing' | 'Degraded' | 'Terminating';
    conditions: { type: string; status: string; message: string }[];
    waitingFor: string[];
  };
}

const HEAD = ['NAME', 'READY', 'DESIRED', 'CALLS', 'CAPACITY', 'UTIL', 'DRAINING', 'REDIS', 'STATUS', 'AGE'];
const OPTIONS = {
  ...controllerOptions,
  output: { type: 'string', short: 'o', default: 'table' },
  replicas: { type: 'string' },
} as const;

/** `pool get [NAME] [-o json]`, `pool scale NAME --replicas N`, `pool apply FILE`, against the running local mode. */
export async function pool(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [verb, name, ...more] = positionals;
  if (more.length > 0) return slip(io, `${more[0]} is one argument too many`);
  if (values.output !== 'table' && values.output !== 'json') return slip(io, `-o knows json, not ${values.output}`);
  const request = { address: addressOf(values), json: values.output === 'json', io };
  switch (verb) {
    case 'get':
      return get(request, name);
    case 'scale':
      return name === undefined
        ? slip(io, 'pool scale needs the NAME of a pool')
        : scale(request, name, values.replicas);
    case 'apply':
      return name === undefined ? slip(io, 'pool apply needs a FILE') : apply(request, name);
    default:
      return slip(io, `${verb ?? 'nothing'} is not get, scale or apply`);
  }
}

interface Request {
  address: ControllerAddress;
  json: boolean;
  io: Io;
}

async function get({ address, json, io }: Request, name: string | undefined): Promise<ExitCode> {
  const { pools } = await askController<{ pools: PoolAnswer[] }>(address, 'GET', '/pools');
  const shown = name === undefined ? pools : pools.filter(({ metadata }) => metadata.name === name);
  if (name !== undefined && shown.length === 0) {
    io.err(`rtvoice: there is no pool ${name}; \`rtvoice pool get\` lists them\n`);
    return EXIT.error;
  }
  io.out(json ? `${JSON.stringify({ pools: shown }, null, 2)}\n` : table(HEAD, shown.map(row)));
  const degraded = shown.filter(({ status }) => status?.phase !== 'Ready' && status?.phase !== 'Progressing');
  if (!json) for (const { metadata, status } of degraded) io.err(explain(metadata.name, status));
  return degraded.length > 0 ? EXIT.degraded : EXIT.ok;
}

async function scale({ address, json, io }: Request, name: string, replicas: string | undefined): Promise<ExitCode> {
  if (replicas === undefined || !/^\d{1,5}$/.test(replicas)) return slip(io, '--replicas needs a whole number');
  const answer = await askController(address, 'POST', `/pools/${encodeURIComponent(name)}/scale`, {
    replicas: Number(replicas),
  });
  io.out(json ? `${JSON.stringify(answer)}\n` : `pool ${name} scaled to ${replicas}\n`);
  return EXIT.ok;
}

async function apply({ address, json, io }: Request, file: string): Promise<ExitCode> {
  // Read here: relative paths in the document start at its folder, which the controller does not know.
  const document = readPool(file);
  const answer = await askController<{ name: string; revision: string; changed: boolean; generation: number }>(
    address,
    'PUT',
    '/pools',
    document,
  );
  const verb = !answer.changed ? 'unchanged' : answer.generation === 1 ? 'created' : 'configured';
  io.out(json ? `${JSON.stringify(answer)}\n` : `pool ${answer.name} ${verb} (revision ${answer.revision})\n`);
  return EXIT.ok;
}

function row({ metadata, status }: PoolAnswer): string[] {
  if (!status) return [metadata.name, '0', '-', '-', '-', '-', '-', '-', 'Starting', age(metadata.ageSeconds)];
  return [
    metadata.name,
    `${status.readyWorkers}`,
    `${status.wantedWorkers}`,
    `${status.activeCalls}`,
    `${status.capacity}`,
    `${status.utilizationPercent}%`,
    `${status.drainingWorkers}`,
    status.redis,
    status.phase,
    age(metadata.ageSeconds),
  ];
}

/** Why it is degraded and what it waits for. */
function explain(name: string, status: PoolAnswer['status']): string {
  if (!status) return `${name}: the controller has not looked at it yet\n`;
  const isBad = ({ type, status: value }: { type: string; status: string }) =>
    type === 'Ready' ? value !== 'True' : value === 'True' && type !== 'Progressing' && type !== 'ScaleFloorActive';
  const lines = status.conditions.filter(isBad).map(({ type, message }) => `${type}: ${message}`);
  return [...lines, ...status.waitingFor.map((text) => `waiting for: ${text}`)]
    .map((line) => `${name}: ${line}\n`)
    .join('');
}

function slip(io: Io, text: string): ExitCode {
  io.err(
    `rtvoice: ${text}\nusage: rtvoice pool get [NAME] [-o json] | pool scale NAME --replicas N | pool apply FILE\n`,
  );
  return EXIT.error;
}
