import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Clock, Timer } from '../platform/clock.ts';
import { Gauge, Histogram, type Registry } from '../platform/metrics.ts';

export interface MemoryFigures {
  /** Resident set of this process. */
  rssBytes: number;
  /** The smallest of the cgroup's limit, the configured one and the machine's memory. */
  limitBytes: number;
  /** Resident set while idle: before the first call. */
  baselineBytes: number;
}

/** What the worker knows of its own condition. */
export interface WorkerHealth {
  /** The longest delay of the event loop in the last second or so, a delay that lasts included; milliseconds. */
  eventLoopLagMs(): number;
  memory(): MemoryFigures;
  /** From here on the baseline stands. To be called when everything is loaded and before the first call is taken. */
  freezeBaseline(): void;
  stop(): void;
}

const SAMPLE_MS = 100;
const WINDOW_SAMPLES = 10;

export function createWorkerHealth(options: {
  registry: Registry;
  clock: Clock;
  /** The pool's `worker.memoryLimitMiB` in bytes. */
  configuredLimitBytes?: number;
  rssBytes?: () => number;
}): WorkerHealth {
  const { registry, clock } = options;
  const rssBytes = options.rssBytes ?? process.memoryUsage.rss;
  const limitBytes = Math.min(options.configuredLimitBytes ?? Number.POSITIVE_INFINITY, cgroupLimitBytes(), totalmem());
  let baselineBytes: number | undefined;
  const memory = (): MemoryFigures => {
    const rss = rssBytes();
    return { rssBytes: rss, limitBytes, baselineBytes: baselineBytes ?? rss };
  };
  const lag = sampleLag(registry, clock);
  gauge(registry, 'rtvoice_worker_memory_bytes', 'Resident set of the worker.', () => memory().rssBytes);
  gauge(registry, 'rtvoice_worker_memory_limit_bytes', 'Memory limit of the worker.', () => limitBytes);
  gauge(registry, 'rtvoice_worker_memory_baseline_bytes', 'Resident set while idle.', () => memory().baselineBytes);
  gauge(registry, 'rtvoice_worker_memory_ratio', 'Resident set by memory limit.', () => memory().rssBytes / limitBytes);
  return {
    memory,
    eventLoopLagMs: lag.worstMs,
    freezeBaseline: () => {
      baselineBytes = rssBytes();
    },
    stop: () => lag.timer.cancel(),
  };
}

/** Own sampler: the gauges of the metrics library are reset by whoever scrapes first. */
function sampleLag(registry: Registry, clock: Clock): { worstMs: () => number; timer: Timer } {
  const histogram = new Histogram({
    name: 'rtvoice_event_loop_lag_seconds',
    help: 'How late a timer of the event loop fires, sampled ten times a second.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5],
    registers: [registry],
  });
  const recent: number[] = [];
  let lastMs = clock.monotonicMs();
  const timer = clock.every(SAMPLE_MS, () => {
    const nowMs = clock.monotonicMs();
    const lateMs = Math.max(0, nowMs - lastMs - SAMPLE_MS);
    lastMs = nowMs;
    histogram.observe(lateMs / 1000);
    recent.push(lateMs);
    if (recent.length > WINDOW_SAMPLES) recent.shift();
  });
  return { timer, worstMs: () => Math.max(0, clock.monotonicMs() - lastMs - SAMPLE_MS, ...recent) };
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}

/** Infinity when there is none or it cannot be read (outside a container). */
export function cgroupLimitBytes(
  paths = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'],
): number {
  for (const path of paths) {
    try {
      const value = Number(readFileSync(path, 'utf8').trim());
      if (Number.isFinite(value) && value > 0) return value;
    } catch {
      // Not this version of cgroups.
    }
  }
  return Number.POSITIVE_INFINITY;
}
