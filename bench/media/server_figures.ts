import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The monitor measures its own timer, so that its figures hold this much without any delay. */
const RESOLUTION_MS = 5;

/** What a server under test says of itself when it is asked. */
export interface Figures {
  framesIn: number;
  framesOut: number;
  speechFrames: number;
  utterances: number;
  /** Event loop delay, 99th percentile since the last question. */
  loopP99Ms: number;
}

export interface Reading extends Figures {
  atMs: number;
  cpuUserMs: number;
  cpuSystemMs: number;
}

/** Tells the driver the port, and then answers each `read` message with the figures and the CPU used so far. Ends with its parent. */
export function serveFigures(port: number, figures: Figures, refresh: () => void): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on('message', () => {
    refresh();
    const cpu = process.cpuUsage();
    const loopP99Ms = Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS);
    delay.reset();
    const reading: Reading = {
      ...figures,
      loopP99Ms,
      atMs: performance.now(),
      cpuUserMs: cpu.user / 1e3,
      cpuSystemMs: cpu.system / 1e3,
    };
    process.send?.(reading);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ port });
}
