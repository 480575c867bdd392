import { CALL_LENGTH_SECONDS, type CallExperience } from '../../contract/records.ts';
import type { CallLengths } from '../pool/drain_estimate.ts';

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
  /** Age of its oldest call and mean age of its calls; undefined without calls. */
  readonly oldestCallSeconds: number | undefined;
  readonly meanCallAgeSeconds: number | undefined;
  /** What its callers experienced since its start; undefined when it does not tell. */
  readonly experience: Experience | undefined;
}

/** Sums since the start of one process. */
export interface Experience {
  readonly setups: number;
  readonly setupFailures: number;
  readonly responses: number;
  readonly responseSeconds: number;
  readonly callLengths: CallLengths;
}

/** The scaling gauges: everything else of a worker's exposition is skipped unread. */
const GAUGES = {
  rtvoice_active_calls: 'activeCalls',
  rtvoice_call_capacity: 'callCapacity',
  rtvoice_worker_memory_bytes: 'memoryBytes',
  rtvoice_worker_memory_baseline_bytes: 'memoryBaselineBytes',
  rtvoice_worker_memory_limit_bytes: 'memoryLimitBytes',
  rtvoice_relayed_sockets: 'relayedSockets',
  rtvoice_unsent_records: 'unsentRecords',
  rtvoice_oldest_call_seconds: 'oldestCallSeconds',
  rtvoice_mean_call_age_seconds: 'meanCallAgeSeconds',
} as const satisfies Record<string, keyof WorkerFigures>;
type Gauge = (typeof GAUGES)[keyof typeof GAUGES];

/** Name, labels, value; Prometheus text format 0.0.4. */
const SAMPLE = /^([a-z_]+)(\{[^}]*\})?[ \t]+(\S+)/;
const LABEL = /(?:^|[{,])(\w+)="([^"]*)"/g;

export interface Scrape {
  readonly figures: WorkerFigures;
  /** Of the process that answered, when it says so. */
  readonly incarnation: string | undefined;
}

/** Undefined when the two gauges without which nothing can be decided are missing. */
export function parseScrape(exposition: string): Scrape | undefined {
  const gauges = new Map<Gauge, number>();
  const experience = new ExperienceReader();
  let incarnation: string | undefined;
  for (const line of exposition.split('\n')) {
    if (!line.startsWith('rtvoice_')) continue;
    const [, name = '', labels = '', text] = SAMPLE.exec(line) ?? [];
    const value = Number(text);
    if (!Number.isFinite(value) || value < 0) continue;
    if (isGauge(name)) gauges.set(GAUGES[name], value);
    else if (name === 'rtvoice_worker_info') incarnation = labelOf(labels, 'incarnation');
    else experience.take(name, labels, value);
  }
  const [activeCalls, callCapacity] = [gauges.get('activeCalls'), gauges.get('callCapacity')];
  if (activeCalls === undefined || callCapacity === undefined) return undefined;
  const figures: WorkerFigures = {
    activeCalls,
    callCapacity,
    memoryBytes: gauges.get('memoryBytes'),
    memoryBaselineBytes: gauges.get('memoryBaselineBytes'),
    memoryLimitBytes: gauges.get('memoryLimitBytes'),
    relayedSockets: gauges.get('relayedSockets'),
    unsentRecords: gauges.get('unsentRecords'),
    oldestCallSeconds: activeCalls > 0 ? gauges.get('oldestCallSeconds') : undefined,
    meanCallAgeSeconds: activeCalls > 0 ? gauges.get('meanCallAgeSeconds') : undefined,
    experience: experience.read(),
  };
  return { figures, incarnation };
}

/** The same from a heartbeat. */
export function experienceOf(told: CallExperience | undefined): Experience | undefined {
  if (!told) return undefined;
  const { setups, setupFailures, responses, responseSeconds, callsEnded, callLengths } = told;
  return {
    ...{ setups, setupFailures, responses, responseSeconds },
    callLengths: { seconds: CALL_LENGTH_SECONDS, counts: callLengths, total: callsEnded },
  };
}

class ExperienceReader {
  #setups = 0;
  #setupFailures = 0;
  #responses = 0;
  #responseSeconds = 0;
  readonly #seconds: number[] = [];
  readonly #counts: number[] = [];
  #ended = 0;
  #any = false;

  take(name: string, labels: string, value: number): void {
    switch (name) {
      case 'rtvoice_call_setups_total':
        this.#takeSetups(labelOf(labels, 'result'), value);
        break;
      case 'rtvoice_response_duration_seconds_count':
        this.#responses = value;
        break;
      case 'rtvoice_response_duration_seconds_sum':
        this.#responseSeconds = value;
        break;
      case 'rtvoice_call_duration_seconds_bucket':
        this.#takeLength(labelOf(labels, 'le'), value);
        break;
      case 'rtvoice_call_duration_seconds_count':
        this.#ended = value;
        break;
      default:
        return;
    }
    this.#any = true;
  }

  read(): Experience | undefined {
    if (!this.#any) return undefined;
    return {
      setups: this.#setups,
      setupFailures: this.#setupFailures,
      responses: this.#responses,
      responseSeconds: this.#responseSeconds,
      callLengths: { seconds: this.#seconds, counts: this.#counts, total: this.#ended },
    };
  }

  /** Refused ones are a matter of capacity and count for nothing here. */
  #takeSetups(result: string | undefined, value: number): void {
    if (result === 'ok' || result === 'failed') this.#setups += value;
    if (result === 'failed') this.#setupFailures += value;
  }

  #takeLength(bound: string | undefined, value: number): void {
    const seconds = Number(bound);
    if (!Number.isFinite(seconds)) return;
    this.#seconds.push(seconds);
    this.#counts.push(value);
  }
}

function isGauge(name: string): name is keyof typeof GAUGES {
  return Object.hasOwn(GAUGES, name);
}

function labelOf(labels: string, wanted: string): string | undefined {
  for (const [, name, value] of labels.matchAll(LABEL)) if (name === wanted) return value;
  return undefined;
}
