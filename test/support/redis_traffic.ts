import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { auditKeys } from '../../state/manager/audit.ts';
import { RedisClient, type RedisClientOptions } from '../../state/redis/client.ts';
import type { CredentialSource } from '../../state/redis/credentials.ts';
import { keyLayoutOf, parseRedisTarget, type RedisMode } from '../../state/redis/target.ts';
import { eventually } from './redis.ts';

export interface OpenedClient {
  readonly client: RedisClient;
  readonly registry: Registry;
}

/** A client of the product; whoever opens it closes it. */
export function openClient(
  mode: RedisMode,
  url: string,
  more: Partial<Pick<RedisClientOptions, 'role' | 'limits' | 'tlsCa' | 'log'>> & {
    credentials?: CredentialSource;
  } = {},
): OpenedClient {
  const registry = createRegistry({ processMetrics: false });
  const target = parseRedisTarget(mode, url);
  const client = new RedisClient({ target, role: 'fastFail', clock: systemClock, log: silentLog, registry, ...more });
  return { client, registry };
}

/** One sample of a registry, by the text that stands before its value; 0 when there is none. */
export async function sample(registry: Registry, name: string): Promise<number> {
  const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

const MAX_HISTORY = 5000;
const TURN_MS = 25;

interface LiveCall {
  readonly id: string;
  readonly call: ConversationManager;
  readonly said: string[];
}

/** What the outage looked like from the calls. */
export interface Outage {
  readonly turns: number;
  readonly failures: Readonly<Record<string, number>>;
  /** The longest time between two confirmed writes of any one call. */
  readonly longestGapMs: number;
}

/** Calls in progress: each says a turn every 25 ms and writes it through, whatever Redis answers, as a worker does. */
export class CallTraffic {
  readonly #store: RedisCallStore;
  readonly #client: RedisClient;
  readonly #keys: RedisKeyManager;
  readonly #calls: LiveCall[];
  readonly #failures: Record<string, number> = {};
  readonly #running: Promise<unknown>;
  #longestGapMs = 0;
  #written = 0;
  #stopping = false;

  constructor(client: RedisClient, mode: RedisMode, ids: readonly string[]) {
    const keys = new RedisKeyManager({ environment: 'test', layout: keyLayoutOf(mode) });
    this.#keys = keys;
    this.#client = client;
    this.#store = new RedisCallStore({ redis: client, keys: callKeys(keys), ttls: CALL_TTLS, maxHistory: MAX_HISTORY });
    this.#calls = ids.map((id) => ({ id, call: this.#start(id), said: [] }));
    this.#running = Promise.all(this.#calls.map((live) => this.#talk(live)));
    // It is awaited by `finish`.
    this.#running.catch(() => undefined);
  }

  /** Resolves once so many more turns have been confirmed. */
  async confirmed(turns: number): Promise<void> {
    const goal = this.#written + turns;
    await eventually(`${turns} more turns are written`, () => this.#written >= goal);
  }

  /** Ends the talk, whatever is left; for a test that fails. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running.catch(() => undefined);
  }

  /** Ends the talk, writes what is left, and holds what Redis has against what was said: complete, in order, once, and every key with its time to live. */
  async finish(): Promise<Outage> {
    this.#stopping = true;
    await this.#running;
    for (const { call } of this.#calls) {
      await eventually('what is left is written', () => call.persist().then(() => true));
    }
    for (const { id, said } of this.#calls) {
      const stored = await served(() => this.#store.read(id));
      assert.deepEqual(
        stored.history.map(({ text }) => text),
        said,
      );
      assert.deepEqual(
        stored.history.map(({ seq }) => seq),
        said.map((_, index) => index + 1),
      );
      // The outbox is what goes to the archive: a turn that was applied twice would stand in it twice.
      assert.equal(new Set(stored.unarchived.map((entry) => entry.id)).size, stored.unarchived.length);
      assert.equal(stored.unarchived.length, said.length);
    }
    const audit = await served(() => auditKeys(this.#client, this.#keys));
    assert.deepEqual(audit.counts, { withoutTtl: 0, outsideGrammar: 0, beyondPolicy: 0, expiresBeforeRefresh: 0 });
    assert.ok(audit.keys >= 6 * this.#calls.length, `${audit.keys} keys`);
    const turns = this.#calls.reduce((sum, { said }) => sum + said.length, 0);
    return { turns, failures: this.#failures, longestGapMs: Math.round(this.#longestGapMs) };
  }

  #start(id: string): ConversationManager {
    return ConversationManager.start(
      {
        store: this.#store,
        owner: { fence: 1, incarnation: 'inc-1' },
        clock: systemClock,
        limits: { maxHistory: MAX_HISTORY },
      },
      {
        callRef: `ref-${id}`,
        callConnectionId: id,
        correlationId: 'correlation',
        serverCallId: 'server-call',
        from: '4:+15550100',
        to: '4:+15550101',
        startedAtMs: 1000,
      },
      'connected',
    );
  }

  async #talk({ call, said }: LiveCall): Promise<void> {
    let lastMs = performance.now();
    while (!this.#stopping) {
      const text = `turn ${said.length + 1}`;
      said.push(text);
      call.appendToHistory(said.length % 2 === 0 ? 'assistant' : 'caller', text);
      try {
        await call.persist();
        const nowMs = performance.now();
        this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - lastMs);
        lastMs = nowMs;
        this.#written += 1;
      } catch (error) {
        const code = (error as { code?: string }).code ?? 'UNKNOWN';
        // Anything else, a fence above all, means that the state is damaged.
        assert.match(code, /^ERR_REDIS_(UNAVAILABLE|TIMEOUT)$/, String(error));
        this.#failures[code] = (this.#failures[code] ?? 0) + 1;
      }
      await delay(TURN_MS);
    }
  }
}

/** The call path gives a command up after 200 ms, which a busy machine may take: what only looks may look again. */
async function served<T>(look: () => Promise<T>): Promise<T> {
  let seen: { value: T } | undefined;
  await eventually('Redis answers', async () => {
    seen = { value: await look() };
    return true;
  });
  if (!seen) throw new Error('unreachable');
  return seen.value;
}
