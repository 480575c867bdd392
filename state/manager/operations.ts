import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { ParsedKey } from '../keys/key_manager.ts';

/** Tells each operation with its correlation id: kinds and results, never identifiers or values. */
export class OperationLog {
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: { clock: Clock; log: Log }) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async tell<T>(
    op: string,
    { dataType, component }: Pick<ParsedKey, 'dataType' | 'component'>,
    correlationId: string | undefined,
    act: () => Promise<T>,
  ): Promise<T> {
    const startMs = this.#clock.monotonicMs();
    const fields = { op, dataType, ...(dataType === 'cache' ? {} : { component }), correlationId };
    try {
      const result = await act();
      this.#log.debug({ ...fields, result: 'ok', ms: this.#clock.monotonicMs() - startMs }, 'Redis operation');
      return result;
    } catch (error) {
      const code = errorCode(error);
      this.#log.warn({ ...fields, result: code, ms: this.#clock.monotonicMs() - startMs }, 'Redis operation failed');
      throw error;
    }
  }
}
