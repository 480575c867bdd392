import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import type { AzureControl, CallRecord } from '../../simulators/client.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { auditTtl } from '../../state/redis/ttl_audit.ts';
import type { Caller } from './callers.ts';
import { type CallReport, joinTurns, median, understood } from './report.ts';
import type { Stack } from './stack.ts';

/** How long after its end a call's records may take to reach Cosmos DB. */
const ARCHIVE_LIMIT_MS = 15_000;
const ARCHIVE_POLL_MS = 100;

interface FinishedCall {
  report: CallReport;
  record: CallRecord;
}

/** The simulated callers of local mode: places their calls, follows them, and compares what was said with what was archived. */
export class CallerSession {
  readonly #stack: Stack;
  readonly #redis: RedisClient;
  readonly #pattern: string;
  readonly #names = new Map<string, string>();
  readonly #finished: FinishedCall[] = [];
  readonly #running = new Set<string>();
  firstAnswerAtMs: number | undefined;
  redisKeys = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
    const registry = createRegistry({ processMetrics: false });
    this.#redis = new RedisClient({
      url: stack.redisUrl,
      role: 'patient',
      clock: systemClock,
      log: silentLog,
      registry,
    });
    this.#pattern = new RedisKeyManager({ environment: stack.environment, appPrefix: stack.keyPrefix }).pattern;
  }

  nameOf(callConnectionId: string | undefined): string | undefined {
    return callConnectionId === undefined ? undefined : this.#names.get(callConnectionId);
  }

  get reports(): CallReport[] {
    return this.#finished.map(({ report }) => report);
  }

  totals(): { calls: number; understood: number; archived: number; medianResponseMs: number | undefined } {
    const reports = this.reports;
    const responses = reports.flatMap(({ turns }) => turns.flatMap(({ responseMs }) => responseMs ?? []));
    return {
      calls: reports.length,
      understood: reports.filter(understood).length,
      archived: reports.filter(({ archived }) => archived).length,
      medianResponseMs: median(responses),
    };
  }

  /** One call from ring to archive. */
  async run(caller: Caller, onLine: (line: string) => void): Promise<CallReport> {
    const { azure, ringUrl } = this.#stack;
    const id = await azure.placeCall({ ringUrl, script: caller.script });
    this.#running.add(id);
    let record: CallRecord | undefined;
    for await (const event of azure.events(id)) {
      if (event.type === 'answered') {
        this.firstAnswerAtMs ??= performance.now();
        this.#names.set(event.callConnectionId, caller.name);
      }
      const line = describe(caller.name, event);
      if (line) onLine(line);
      if (event.type === 'ended') record = event.record;
    }
    this.#running.delete(id);
    if (!record) throw new Error(`the simulator lost call ${id}`);
    const report = await this.#report(azure, record);
    this.#finished.push({ report, record });
    onLine(
      `${caller.name}: ${report.archived ? 'archived' : 'NOT archived'}, ${understood(report) ? 'understood' : 'NOT understood'}`,
    );
    return report;
  }

  /** Every caller who is still on the line hangs up, so that workers end with nothing to cut. */
  async hangUpAll(): Promise<void> {
    const { azure } = this.#stack;
    await Promise.allSettled([...this.#running].map((id) => azure.hangUp(id)));
  }

  async audit(): Promise<{ keys: number; withoutTtl: string[] }> {
    await this.#redis.ready();
    const audit = await auditTtl(this.#redis, this.#pattern);
    this.redisKeys = audit.keys;
    return audit;
  }

  close(): Promise<void> {
    return this.#redis.close();
  }

  async #report(azure: AzureControl, record: CallRecord): Promise<CallReport> {
    const archive = await this.#archived(azure, record.callConnectionId ?? '');
    const spoken = record.turns.map(({ spoken: text, responseMs }) => ({
      text,
      responseMs: responseMs === undefined ? undefined : Math.round(responseMs),
    }));
    return {
      callConnectionId: record.callConnectionId ?? '',
      worker: archive.workers.at(-1) ?? '',
      turns: joinTurns(spoken, archive.turns),
      disconnected: record.disconnectedBy === 'caller' ? 'caller' : 'worker',
      archived: archive.complete,
    };
  }

  /** The transcript once its end record is there and every turn it counts, or what there is when the time is over. */
  async #archived(azure: AzureControl, callConnectionId: string): Promise<Archived> {
    const endMs = performance.now() + ARCHIVE_LIMIT_MS;
    for (;;) {
      const documents = callConnectionId === '' ? [] : await azure.transcript(callConnectionId);
      const found = readTranscript(documents);
      if (found.complete || callConnectionId === '' || performance.now() > endMs) return found;
      await new Promise((resolve) => setTimeout(resolve, ARCHIVE_POLL_MS));
    }
  }
}

interface Archived {
  turns: { seq: number; role: 'caller' | 'assistant' | 'system'; text: string }[];
  workers: string[];
  complete: boolean;
}

function readTranscript(documents: readonly Record<string, unknown>[]): Archived {
  const summary = documents.find(({ id }) => id === 'summary');
  const turns = documents.flatMap(({ seq, role, text }) =>
    typeof seq === 'number' ? [{ seq, role: role as Archived['turns'][number]['role'], text: String(text) }] : [],
  );
  return {
    turns,
    workers: Array.isArray(summary?.workers) ? (summary.workers as string[]) : [],
    complete: summary !== undefined && turns.length === summary.turns,
  };
}

type Progress = ReturnType<AzureControl['events']> extends AsyncIterable<infer Event> ? Event : never;

function describe(name: string, event: Progress): string | undefined {
  switch (event.type) {
    case 'answered':
      return `${name}: answered`;
    case 'said':
      return `${name} says: ${event.text}`;
    case 'dtmf':
      return `${name} presses: ${event.tones}`;
    case 'answerStarted':
      return event.responseMs === undefined
        ? undefined
        : `${name} hears an answer after ${Math.round(event.responseMs)} ms`;
    case 'mediaLost':
      return `${name}: the media socket broke (${event.code})`;
    case 'refused':
      return `${name}: ${event.outcome}`;
    case 'ended':
      return `${name}: ended by the ${event.record.disconnectedBy ?? 'network'}`;
    default:
      return undefined;
  }
}
