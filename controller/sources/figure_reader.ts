import type { Timer } from '../../platform/clock.ts';
import type { Pulse } from '../../state/ports.ts';
import type { RuntimeWorker } from '../runtime/ports.ts';
import type { TelemetryTarget } from './telemetry.ts';

/** Where figures come from: a scrape of each worker, or their heartbeats. */
export interface FigureSource {
  /** Gives what Redis said of the pool meanwhile; undefined when it did not answer. Never rejects. */
  refresh(targets: readonly TelemetryTarget[]): Promise<Pulse | undefined>;
  close(): Promise<void>;
}

/** Reads the figures of one pool's workers again and again, beside the reconcile loop: a worker that does not answer must not hold it. */
export class FigureReader {
  readonly #source: FigureSource;
  readonly #workers: () => readonly RuntimeWorker[];
  readonly #onRead: () => void;
  readonly #timer: Timer;
  #pulse: Pulse | undefined;
  #closed = false;

  constructor(options: {
    source: FigureSource;
    /** The pool's workers as the runtime lists them now. */
    workers: () => readonly RuntimeWorker[];
    /** Calls it again and again. */
    schedule: (work: () => void) => Timer;
    /** After each reading. */
    onRead: () => void;
  }) {
    this.#source = options.source;
    this.#workers = options.workers;
    this.#onRead = options.onRead;
    this.#timer = options.schedule(() => void this.read());
  }

  /** Of the last reading; undefined when Redis did not answer then. */
  get pulse(): Pulse | undefined {
    return this.#pulse;
  }

  async read(): Promise<void> {
    this.#pulse = await this.#source.refresh(this.#workers().flatMap(targetOf));
    if (!this.#closed) this.#onRead();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    await this.#source.close();
  }
}

function targetOf({ id, incarnation, endpoint, presence, admission }: RuntimeWorker): TelemetryTarget[] {
  if (presence !== 'serving' || endpoint === undefined) return [];
  return [{ worker: id, incarnation, endpoint, exactAge: admission !== 'admitting' }];
}
