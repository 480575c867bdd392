/** Figures of one worker that scaling, drain and status need; units as in the metric names. */
export interface WorkerFigures {
  readonly activeCalls: number;
  /** Slots; 0 while the worker refuses new calls by itself. */
  readonly callCapacity: number;
  readonly memoryBytes: number | undefined;
  readonly memoryBaselineBytes: number | undefined;
  readonly memoryLimitBytes: number | undefined;
  readonly relayedSockets: number | undefined;
  readonly unsentRecords: number | undefined;
}

/** The scaling gauges: everything else of a worker's exposition is skipped unread. */
const GAUGES: Readonly<Record<string, keyof WorkerFigures>> = {
  rtvoice_active_calls: 'activeCalls',
  rtvoice_call_capacity: 'callCapacity',
  rtvoice_worker_memory_bytes: 'memoryBytes',
  rtvoice_worker_memory_baseline_bytes: 'memoryBaselineBytes',
  rtvoice_worker_memory_limit_bytes: 'memoryLimitBytes',
  rtvoice_relayed_sockets: 'relayedSockets',
  rtvoice_unsent_records: 'unsentRecords',
};

/** Name, optional labels (not needed: one worker, one series), value; Prometheus text format 0.0.4. */
const SAMPLE = /^([a-z_]+)(?:\{[^}]*\})?[ \t]+(\S+)/;

/** Undefined when the two gauges without which nothing can be decided are missing. */
export function parseFigures(exposition: string): WorkerFigures | undefined {
  const found = new Map<keyof WorkerFigures, number>();
  for (const line of exposition.split('\n')) {
    if (!line.startsWith('rtvoice_')) continue;
    const sample = SAMPLE.exec(line);
    const field = sample?.[1] ? GAUGES[sample[1]] : undefined;
    const value = Number(sample?.[2]);
    if (field && Number.isFinite(value) && value >= 0) found.set(field, value);
  }
  const [activeCalls, callCapacity] = [found.get('activeCalls'), found.get('callCapacity')];
  if (activeCalls === undefined || callCapacity === undefined) return undefined;
  return {
    activeCalls,
    callCapacity,
    memoryBytes: found.get('memoryBytes'),
    memoryBaselineBytes: found.get('memoryBaselineBytes'),
    memoryLimitBytes: found.get('memoryLimitBytes'),
    relayedSockets: found.get('relayedSockets'),
    unsentRecords: found.get('unsentRecords'),
  };
}
