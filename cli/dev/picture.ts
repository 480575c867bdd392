/** What the terminal shows of local mode at one moment. */
export interface Picture {
  pool: string;
  publicUrl: string;
  upMs: number;
  ready: number;
  desired: number;
  conditions: readonly string[];
  redis: { available: boolean; keys: number };
  workers: readonly PictureWorker[];
  calls: readonly PictureCall[];
  totals: { calls: number; understood: number; archived: number; medianResponseMs: number | undefined };
}

export interface PictureWorker {
  id: string;
  state: string;
  calls: number;
  slots: number;
  lagMs: number;
}

export interface PictureCall {
  id: string;
  caller: string;
  worker: string;
  state: string;
  ageMs: number;
  stored: 'memory' | 'redis' | 'cosmos';
  lines: readonly { role: 'caller' | 'assistant'; text: string; responseMs?: number }[];
}

export interface PaintOptions {
  columns: number;
  rows: number;
  colour: boolean;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** Where a call's newest turn stands, as one letter per tier that has it. */
const STORED = { memory: 'memory', redis: 'memory > Redis', cosmos: 'memory > Redis > Cosmos DB' } as const;

export function paint(picture: Picture, options: PaintOptions): string[] {
  const style = (code: keyof typeof CODES, text: string) =>
    options.colour ? `\x1b[${CODES[code]}m${text}\x1b[0m` : text;
  const lines = [
    `${style('bold', `rtvoice  ${picture.pool}`)}   ${style('dim', `up ${duration(picture.upMs)}   ${picture.publicUrl}   Ctrl-C stops`)}`,
    summary(picture, style),
    '',
    ...workers(picture, style),
    '',
  ];
  const room = Math.max(0, options.rows - lines.length - 2);
  lines.push(...calls(picture, room, style));
  return lines.slice(0, options.rows - 1).map((line) => cut(line, options.columns));
}

type Style = (code: keyof typeof CODES, text: string) => string;

function summary(picture: Picture, style: Style): string {
  const { totals, redis } = picture;
  const response = totals.medianResponseMs === undefined ? '' : `   response ${totals.medianResponseMs} ms (median)`;
  const store = redis.available ? style('green', `Redis ${redis.keys} keys`) : style('red', 'Redis away');
  const conditions = picture.conditions.length > 0 ? `   ${style('yellow', picture.conditions.join(', '))}` : '';
  return `workers ${picture.ready} ready, ${picture.desired} wanted   calls ${totals.calls} done, ${totals.understood} understood, ${totals.archived} archived${response}   ${store}${conditions}`;
}

function workers(picture: Picture, style: Style): string[] {
  return picture.workers.map((worker) => {
    const used = Math.min(worker.calls, worker.slots);
    const bar = `${'#'.repeat(used)}${'.'.repeat(worker.slots - used)}`;
    const state = worker.state === 'serving' ? style('green', worker.state) : style('yellow', worker.state);
    return `  ${worker.id}  [${bar}] ${worker.calls}/${worker.slots} calls  ${state}  ${style('dim', `loop lag ${worker.lagMs.toFixed(1)} ms`)}`;
  });
}

function calls(picture: Picture, room: number, style: Style): string[] {
  if (picture.calls.length === 0) return [style('dim', '  no call at the moment')];
  const lines: string[] = [];
  for (const [index, call] of picture.calls.entries()) {
    const block = [
      `  ${style('bold', call.caller)} on ${style('cyan', call.worker)}  ${call.state}  ${duration(call.ageMs)}  ${style('dim', STORED[call.stored])}`,
      ...call.lines.map((line) => {
        const who = line.role === 'caller' ? 'heard' : 'said ';
        const response = line.responseMs === undefined ? '' : style('dim', `  (${line.responseMs} ms)`);
        return `    ${style('dim', who)}  ${line.text}${response}`;
      }),
    ];
    if (lines.length + block.length > room) {
      lines.push(style('dim', `  and ${picture.calls.length - index} more`));
      break;
    }
    lines.push(...block);
  }
  return lines;
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with the escape character
const ANSI = /\x1b\[[0-9]*m/y;

/** Cuts a line to the terminal's width, counting only what is seen. */
export function cut(line: string, columns: number): string {
  let seen = 0;
  for (let i = 0; i < line.length; ) {
    ANSI.lastIndex = i;
    const code = ANSI.exec(line);
    if (code) {
      i += code[0].length;
      continue;
    }
    if (++seen > columns) return `${line.slice(0, i)}${line.includes('\x1b') ? '\x1b[0m' : ''}`;
    i += 1;
  }
  return line;
}
