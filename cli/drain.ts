import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { addressOf, type ControllerAddress, controllerOptions } from './controller_address.ts';
import { askController } from './controller_api.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';

interface WorkerRow {
  id: string;
  admission: string;
  presence: string;
  calls?: number;
  relayedSockets?: number;
  unsentRecords?: number;
}

const OPTIONS = {
  ...controllerOptions,
  deadline: { type: 'string' },
  watch: { type: 'boolean', short: 'w', default: false },
  output: { type: 'string', short: 'o', default: 'text' },
} as const;

const USAGE = 'usage: rtvoice drain WORKER [--deadline SECONDS] [--watch] [-o json]\n';
const WATCH_PERIOD_MS = 1_000;
const MAX_DEADLINE_SECONDS = 7 * 86_400;

/** `drain WORKER`: no new calls; those it has go on to their end, and then it is deleted. `--watch` waits for that. */
export async function drain(args: readonly string[], io: Io): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [worker, ...more] = positionals;
  if (worker === undefined || more.length > 0) return slip(io, 'drain needs the id of one WORKER');
  const deadlineSeconds = values.deadline === undefined ? undefined : Number(values.deadline);
  if (deadlineSeconds !== undefined && !(deadlineSeconds >= 0 && deadlineSeconds <= MAX_DEADLINE_SECONDS)) {
    return slip(io, `--deadline needs seconds from 0 to ${MAX_DEADLINE_SECONDS}`);
  }
  const address = addressOf(values);
  const query = values.namespace === undefined ? '' : `?namespace=${encodeURIComponent(values.namespace)}`;
  const path = `/workers/${encodeURIComponent(worker)}/drain${query}`;
  const answer = await askController(address, 'POST', path, deadlineSeconds === undefined ? {} : { deadlineSeconds });
  if (values.output === 'json') io.out(`${JSON.stringify(answer)}\n`);
  else io.out(`worker ${worker} drains: it takes no new calls and is deleted once it is empty\n`);
  return values.watch ? watch(address, worker, io) : EXIT.ok;
}

async function watch(address: ControllerAddress, worker: string, io: Io): Promise<ExitCode> {
  let shown = '';
  for (;;) {
    const row = await find(address, worker);
    if (!row || row.presence === 'ended') {
      io.err(`${worker} is gone\n`);
      return EXIT.ok;
    }
    const text = `${worker}: ${row.calls ?? '?'} calls, ${row.relayedSockets ?? '?'} relayed sockets, ${row.unsentRecords ?? '?'} unsent records left\n`;
    if (text !== shown) io.err(text);
    shown = text;
    await delay(WATCH_PERIOD_MS);
  }
}

async function find(address: ControllerAddress, worker: string): Promise<WorkerRow | undefined> {
  const { pools } = await askController<{ pools: { status?: { workers: WorkerRow[] } }[] }>(address, 'GET', '/pools');
  return pools.flatMap(({ status }) => status?.workers ?? []).find(({ id }) => id === worker);
}

function slip(io: Io, text: string): ExitCode {
  io.err(`rtvoice: ${text}\n${USAGE}`);
  return EXIT.error;
}
