import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { keyLayoutOf, type RedisMode } from '../../state/redis/target.ts';
import { until } from '../support/calls_worker.ts';
import { Fleet } from '../support/fleet.ts';
import type { TestRedis } from '../support/redis.ts';
import { startCluster } from '../support/redis_cluster.ts';
import { startSentinels } from '../support/redis_sentinel.ts';
import { answeredTurns, assertWholeTranscript, codes, untilArchived } from '../support/story.ts';

interface Form {
  readonly mode: RedisMode;
  start(): Promise<FormServers>;
}

interface FormServers extends AsyncDisposable {
  readonly url: string;
  /** The server that has a key. */
  masterOf(key: string): Promise<TestRedis>;
  /** Resolves once another server has the key. */
  failedOver(key: string, old: TestRedis): Promise<TestRedis>;
}

const FORMS: readonly Form[] = [
  { mode: 'Cluster', start: startCluster },
  {
    mode: 'Sentinel',
    start: async () => {
      const sentinels = await startSentinels();
      return {
        url: sentinels.url,
        masterOf: () => sentinels.master(),
        failedOver: (_key, old) => sentinels.failedOver(old),
        [Symbol.asyncDispose]: () => sentinels[Symbol.asyncDispose](),
      };
    },
  },
];

const TURNS = 20;

describe('the server that has a live call ends', { concurrency: 2 }, () => {
  for (const { mode, start } of FORMS) {
    test(`calls go on and new ones come while a ${mode} fails over`, async (t) => {
      const servers = await start();
      let fleet: Fleet | undefined;
      t.after(async () => {
        await fleet?.stop();
        await servers[Symbol.asyncDispose]();
      });
      fleet = await Fleet.start({ redis: { mode, url: servers.url }, azure: { mediaRedial: 'once' } });
      try {
        await story(fleet, servers, mode);
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${await fleet.picture()}`, {
          cause: error,
        });
      }
    });
  }
});

async function story(fleet: Fleet, servers: FormServers, mode: RedisMode): Promise<void> {
  const place = (turns: number) =>
    fleet.azure.placeCall({ ringUrl: fleet.ringUrl, script: codes(turns, { pauseMs: 700 }) });
  const before = [place(TURNS), place(TURNS), place(TURNS)];
  const ids = await Promise.all(before.map((call) => answeredTurns(call, 2)));

  const keys = callKeys(new RedisKeyManager({ environment: 'test', layout: keyLayoutOf(mode) }));
  const key = keys.session(ids[0] ?? '');
  const lost = await servers.masterOf(key);
  await lost.kill();
  await servers.failedOver(key, lost);
  const turnsThen = before.map((call) => call.answeredTurns);
  assert.ok(
    turnsThen.every((turns) => turns < TURNS),
    'the calls are still under way',
  );
  await until(async () => (await fleet.readyWorkers()) === 2, 'workers admit calls again', 30_000);
  const after = place(3);
  const afterId = await answeredTurns(after, 1);

  await Promise.all([...before, after].map((call) => call.done));
  for (const call of [...before, after]) assert.equal(call.record.disconnectedBy, 'caller');
  for (const id of [...ids, afterId]) await untilArchived(fleet, id, 60_000);
  for (const id of ids) await assertWholeTranscript(fleet, id, TURNS);
  await assertWholeTranscript(fleet, afterId, 3);
  for (const worker of fleet.workers())
    assert.doesNotMatch(await fleet.metrics(worker), /^rtvoice_takeovers_total\{[^}]*result="here"[^}]*\} [1-9]/m);
}
