import { CosmosHttpError, throttled } from './http_error.ts';
import type { Operation } from './operation.ts';

/** An answer in place of the real one; the request is not applied. */
export interface InjectedFailure {
  /** 408, 449, 503 and whatever else the service may answer. */
  status: number;
  substatus?: number;
  retryAfterMs?: number;
  /** So many requests get it. */
  times: number;
  /** Only these; all that are about documents by default. */
  operations?: readonly Operation[];
}

/** Trouble on demand; changed at any time, it holds for requests that come from then on. */
export interface CosmosFaults {
  /** So many requests for documents get 429. */
  throttle: number;
  /** What those answers name as the time to wait. */
  retryAfterMs: number;
  /** Every answer comes this much later. */
  delayMs: number;
  /** Connections are cut as they come in. */
  down: boolean;
  /** Requests are taken in and not answered until this is over; they are applied then. */
  frozen: boolean;
  /** So many writes of documents are applied, then the connection is cut before the answer. */
  replyLost: number;
  /** Provisioned throughput: what a second's requests may cost before the rest of them get 429. 0 is no limit. */
  requestUnitsPerSecond: number;
  /** First come, first served. */
  failures: InjectedFailure[];
  /** The operation at this place of a batch fails: so many batches meet it. */
  batchFailure: { at: number; status: number; times: number } | undefined;
}

export function noFaults(): CosmosFaults {
  return {
    ...{ throttle: 0, retryAfterMs: 20, delayMs: 0, down: false, frozen: false, replyLost: 0 },
    ...{ requestUnitsPerSecond: 0, failures: [], batchFailure: undefined },
  };
}

/** Throws what a request for documents is to meet instead of its answer. */
export function meetFaults(faults: CosmosFaults, operation: Operation): void {
  if (faults.throttle > 0) {
    faults.throttle -= 1;
    throw throttled(faults.retryAfterMs);
  }
  const failure = faults.failures.find(
    ({ times, operations }) => times > 0 && (operations?.includes(operation) ?? true),
  );
  if (!failure) return;
  failure.times -= 1;
  throw injected(failure);
}

/** The check before each operation of one batch. */
export function batchFaults(faults: CosmosFaults): (at: number) => void {
  const { batchFailure } = faults;
  if (!batchFailure || batchFailure.times === 0) return () => undefined;
  batchFailure.times -= 1;
  return (at) => {
    if (at === batchFailure.at) throw injected(batchFailure);
  };
}

function injected({ status, substatus, retryAfterMs }: Pick<InjectedFailure, 'status' | 'substatus' | 'retryAfterMs'>) {
  if (status === 429) return throttled(retryAfterMs ?? 0);
  return new CosmosHttpError(status, 'Injected', 'A failure that was asked for.', {
    ...(substatus === undefined ? {} : { 'x-ms-substatus': String(substatus) }),
    ...(retryAfterMs === undefined ? {} : { 'x-ms-retry-after-ms': String(retryAfterMs) }),
  });
}
