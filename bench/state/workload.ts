import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { RECORD_VERSION } from '../../contract/records.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { CHECKPOINT_SCRIPT } from '../../state/calls/checkpoint_script.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { turnId } from '../../state/calls/record_ids.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { encodeRecord, plainCodec, type RecordCodec } from '../../state/envelope.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import type { Checkpoint, HistoryEntry } from '../../state/ports.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { openBenchSealing } from './sealing.ts';

/** As long as a sentence that is spoken, and a context as a dialogue keeps it: 2 KB. */
const TEXT = 'I would like to book a table for four people on friday evening, near the window if that is possible.';
const CONTEXT = Object.fromEntries(
  Array.from({ length: 24 }, (_, n) => [`member${n}`, `value ${n} ${'x'.repeat(60)}`]),
);
const DIALOGUE = {
  facts: { answer: 'accepted', mediaUp: false, mediaSeen: true },
  voice: { intent: null, slots: {}, turns: 9 },
};

export interface StateBench {
  bare(call: number, n: number): Promise<unknown>;
  ready(call: number, n: number): Promise<unknown>;
  plain(call: number, n: number): Promise<unknown>;
  sealed(call: number, n: number): Promise<unknown>;
  sealedTurn(call: number, n: number): Promise<unknown>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** The n-th checkpoint of a call: context, one turn of history, one entry for the archive. */
export function checkpointOf(name: string, call: number, n: number): Checkpoint {
  const callConnectionId = `0f3c2a10-${name}-${call}`;
  const callRef = `ref${name}${call}`;
  const turn: HistoryEntry = {
    seq: n,
    role: n % 2 === 1 ? 'caller' : 'assistant',
    text: `${TEXT} ${n}`,
    atMs: 1_700_000_000_000 + n,
  };
  return {
    ...{ callConnectionId, callRef, fence: 1, incarnation: 'incarnation', writeId: n },
    session: {
      ...{ v: RECORD_VERSION, callRef, callConnectionId, correlationId: 'c0ffee-0001', serverCallId: 's'.repeat(80) },
      ...{ from: `4:+1555${call}`, to: '4:+15550199', startedAtMs: 1_700_000_000_000, state: 'connected' },
      ...{ recentEventIds: ['e1', 'e2', 'e3', 'e4'], dialogue: DIALOGUE, nextSeq: n + 1 },
    },
    context: CONTEXT,
    history: [turn],
    outbox: [{ id: turnId(n), kind: 'turn', body: { ...turn, callRef } }],
  };
}

/** Bytes that were made once, so that nothing of a call is serialised while it is measured. */
function readyCodec(): RecordCodec {
  const sample = checkpointOf('ready', 1, 1);
  const texts = {
    session: encodeRecord(sample.session),
    context: encodeRecord(sample.context ?? {}),
    history: encodeRecord(sample.history[0] ?? {}),
    turn: encodeRecord(sample.outbox[0]?.body ?? {}),
  };
  return {
    ...plainCodec,
    seal: ({ kind }) => texts[kind as keyof typeof texts],
    // The store would hash the content by itself: that is part of making the bytes.
    tag: () => 'tag',
  };
}

export async function openStateBench(url: string): Promise<StateBench> {
  const registry = createRegistry({ processMetrics: false });
  const limits = { commandTimeoutMs: 10_000, socketTimeoutMs: 20_000 };
  const client = new RedisClient({ url, role: 'fastFail', clock: systemClock, log: silentLog, registry, limits });
  await client.ready();
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-bench-'));
  const keys = callKeys(new RedisKeyManager({ environment: 'test' }));
  const sealing = await openBenchSealing({ directory, client, registry });
  const store = (codec: RecordCodec) => new RedisCallStore({ redis: client, keys, ttls: CALL_TTLS, codec });
  const stores = { ready: store(readyCodec()), plain: store(plainCodec), sealed: store(sealing) };
  const bare = new BareScript(url);
  const through = (name: keyof typeof stores) => (call: number, n: number) =>
    stores[name].checkpoint(checkpointOf(name, call, n));
  return {
    bare: (call, n) => bare.run(call, n),
    ready: through('ready'),
    plain: through('plain'),
    sealed: through('sealed'),
    sealedTurn: (call, n) => {
      const { context, ...turn } = checkpointOf('turn', call, n);
      return stores.sealed.checkpoint(n === 1 && context ? { ...turn, context } : turn);
    },
    flush: async () => void (await client.command('FLUSHALL')),
    close: async () => {
      await Promise.all([client.close(), bare.close()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The library alone: the same script with the same number and size of arguments. */
class BareScript {
  readonly #redis: Redis;
  readonly #texts: string[];
  readonly #send: (...args: unknown[]) => Promise<unknown>;

  constructor(url: string) {
    this.#redis = new Redis(url);
    this.#redis.defineCommand('benchCheckpoint', {
      numberOfKeys: CHECKPOINT_SCRIPT.keys.length,
      lua: CHECKPOINT_SCRIPT.lua,
    });
    const commands = this.#redis as unknown as { benchCheckpoint(...args: unknown[]): Promise<unknown> };
    this.#send = commands.benchCheckpoint.bind(this.#redis);
    const { session, context = {}, history, outbox } = checkpointOf('bare', 1, 1);
    this.#texts = [session, context, history[0] ?? {}, outbox[0]?.body ?? {}].map((body) => encodeRecord(body));
  }

  run(call: number, n: number): Promise<unknown> {
    const [session, context, history, turn] = this.#texts;
    const head = `rtvoice:test:call:0f3c2a10-bare-${call}`;
    const talk = `rtvoice:test:conversation:0f3c2a10-bare-${call}`;
    const id = turnId(n);
    return this.#send(
      ...[`${head}:fence`, `${head}:session`, `${talk}:context`, `${talk}:history`],
      ...[`${head}:outbox`, `${head}:outbox_ids`, `${head}:summary`],
      ...[1, 'incarnation', n, 1, 604_800_000, 7_200_000, 1_800_000, 7_200_000, 604_800_000, 604_800_000],
      ...[400, n, 0, n - 1, session, context, '', 1, n, history, 1, `${id}#tag`, id, 'turn', turn],
    );
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}
