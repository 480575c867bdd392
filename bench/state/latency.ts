import { systemClock } from '../../platform/clock.ts';
import type { Registry } from '../../platform/metrics.ts';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { ConversationMetrics } from '../../state/calls/conversation_metrics.ts';
import { type ArchiveBench, newArchiver, startArchive } from '../../test/state/archive_bench.ts';

/** What the product's own histograms say: each figure is the edge below which that share of the samples lies. */
export interface TierTimes {
  memoryReadNs: number;
  redisP95Ms: number;
  redisP99Ms: number;
  persistP99Ms: number;
  archiveP50Ms: number;
  archiveP95Ms: number;
}

const CALLS = 100;
const SECONDS = 20;
/** A turn every five seconds, both sides of it. */
const PERIOD_MS = 2_500;

/** A hundred calls that speak, are checkpointed and archived, at their own pace. */
export async function measureTiers(): Promise<TierTimes> {
  const bench = await startArchive();
  const archiver = newArchiver(bench, 'w-bench');
  try {
    const conversation = new ConversationMetrics(archiver.registry);
    const calls = await Promise.all(
      Array.from({ length: CALLS }, (_, n) => speak(bench, `bench-${n}`, n, conversation, archiver)),
    );
    return {
      memoryReadNs: memoryReadNs(calls),
      redisP95Ms: await quantileMs(bench.leases.registry, 'rtvoice_redis_command_duration_seconds', 0.95),
      redisP99Ms: await quantileMs(bench.leases.registry, 'rtvoice_redis_command_duration_seconds', 0.99),
      persistP99Ms: await quantileMs(archiver.registry, 'rtvoice_state_persist_duration_seconds', 0.99),
      archiveP50Ms: await quantileMs(archiver.registry, 'rtvoice_archive_write_duration_seconds', 0.5),
      archiveP95Ms: await quantileMs(archiver.registry, 'rtvoice_archive_write_duration_seconds', 0.95),
    };
  } finally {
    await archiver.archiver.stop();
    await bench.stop();
  }
}

async function speak(
  bench: ArchiveBench,
  callConnectionId: string,
  n: number,
  metrics: ConversationMetrics,
  { archiver }: ReturnType<typeof newArchiver>,
): Promise<ConversationManager> {
  const callRef = `refbench${n}`;
  const identity = {
    ...{ callRef, callConnectionId, correlationId: 'c', serverCallId: 's', from: '4:+15550100', to: '4:+15550101' },
    startedAtMs: 1,
  };
  const options = {
    ...{ store: bench.store, owner: { fence: 1, incarnation: 'bench' }, clock: systemClock, metrics },
    onStored: (call: string, ids: readonly string[]) => archiver.nudge(call, ids),
  };
  const manager = ConversationManager.start(options, identity, 'connected');
  archiver.track({ callConnectionId, callRef });
  await pause((PERIOD_MS * n) / CALLS);
  for (let turn = 0; turn < (SECONDS * 1000) / PERIOD_MS; turn++) {
    manager.appendToHistory(turn % 2 === 0 ? 'caller' : 'assistant', 'a sentence of usual length, as people say it');
    await manager.persist();
    await pause(PERIOD_MS);
  }
  return manager;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function memoryReadNs(calls: readonly ConversationManager[]): number {
  const reads = 1_000_000;
  let seen = 0;
  const startNs = process.hrtime.bigint();
  for (let n = 0; n < reads; n++) seen += calls[n % calls.length]?.history.length ?? 0;
  const ns = Number(process.hrtime.bigint() - startNs) / reads;
  if (seen === 0) throw new Error('nothing was read');
  return Math.round(ns);
}

/** Over all label sets: the smallest edge at or above the quantile, in milliseconds. */
async function quantileMs(registry: Registry, name: string, quantile: number): Promise<number> {
  const { values } = (await registry.getSingleMetric(name)?.get()) ?? { values: [] };
  const counts = new Map<number, number>();
  let total = 0;
  for (const { labels, value, ...rest } of values) {
    const { metricName } = rest as { metricName?: string };
    const edge = (labels as { le?: number | string }).le;
    if (metricName?.endsWith('_count')) total += value;
    if (typeof edge === 'number') counts.set(edge, (counts.get(edge) ?? 0) + value);
  }
  const found = [...counts].sort(([a], [b]) => a - b).find(([, count]) => count >= quantile * total);
  return found ? Math.round(found[0] * 1e5) / 100 : Number.POSITIVE_INFINITY;
}
