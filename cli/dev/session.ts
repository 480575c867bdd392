import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import type { AzureControl, CallRecord } from '../../simulators/client.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { auditKeys, type KeyAudit } from '../../state/manager/audit.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { type SealingReport, verifyRedis, violationCount } from '../../state/sealing/verify.ts';
import { type ArchivedTranscript, LocalArchive } from './archive.ts';
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
  readonly #keys: RedisKeyManager;
  readonly #archive: LocalArchive;
  readonly #names = new Map<string, string>();
  readonly #finished: FinishedCall[] = [];
  readonly #running = new Set<string>();
  firstAnswerAtMs: number | undefined;
  redisKeys = 0;

  constructor(stack: Stack, stateDir: string) {
    this.#stack = stack;
    this.#archive = new LocalArchive(stateDir);
    const registry = createRegistry({ processMetrics: false });
    this.#redis = new RedisClient({
      url: stack.redisUrl,
      role: 'patient',
      clock: systemClock,
      log: silentLog,
      registry,
    });
    this.#keys = new RedisKeyManager({ environment: stack.environment, appPrefix: stack.keyPrefix });
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
    const report = await this.#report(record);
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

  async audit(): Promise<KeyAudit> {
    await this.#redis.ready();
    const audit = await auditKeys(this.#redis, this.#keys);
    this.redisKeys = audit.keys;
    return audit;
  }

  /** Records in both stores, those of them that stand in clear, and where the first of these are. */
  async verifySealing(): Promise<{ records: number; inClear: number; examples: string[] }> {
    await this.#redis.ready();
    const reports = [await verifyRedis({ redis: this.#redis, keys: this.#keys }), await this.#archive.verify()];
    const sum = (of: (report: SealingReport) => number) => reports.reduce((total, report) => total + of(report), 0);
    const examples = reports.flatMap((report) => report.examples);
    return { records: sum(({ records }) => records), inClear: sum(violationCount), examples };
  }

  async close(): Promise<void> {
    await Promise.all([this.#redis.close(), this.#archive.close()]);
  }

  async #report(record: CallRecord): Promise<CallReport> {
    const archive = await this.#archived(record.callConnectionId ?? '');
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
  async #archived(callConnectionId: string): Promise<ArchivedTranscript> {
    const endMs = performance.now() + ARCHIVE_LIMIT_MS;
    for (;;) {
      const found = await this.#archive.transcript(callConnectionId);
      if (found.complete || callConnectionId === '' || performance.now() > endMs) return found;
      await new Promise((resolve) => setTimeout(resolve, ARCHIVE_POLL_MS));
    }
  }
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
