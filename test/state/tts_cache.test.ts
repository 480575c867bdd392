import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { phraseHash, TtsCache, type TtsCacheOptions } from '../../state/tts/tts_cache.ts';
import { type StateBench, startState } from './support.ts';

let bench: StateBench;
before(async () => {
  bench = await startState();
});
after(() => bench[Symbol.asyncDispose]());

function newCache(more: Partial<TtsCacheOptions> = {}) {
  const registry = createRegistry({ processMetrics: false });
  const cache = new TtsCache({ redis: bench.client, keys: bench.keys, log: silentLog, registry, ...more });
  const lookups = async () => {
    const values = (await registry.getSingleMetric('rtvoice_tts_cache_total')?.get())?.values ?? [];
    return Object.fromEntries(values.map(({ labels, value }) => [labels.result, value]));
  };
  return { cache, lookups };
}

const phrase = (text: string) => ({ voice: 'v', sampleRateHertz: 16_000, text });
const never = () => Promise.reject(new Error('synthesised again'));

/** The write is not awaited by `get`: it is over when the key is there. */
async function written(text: string): Promise<number> {
  const key = bench.keys.ttsKey(phraseHash(phrase(text)));
  for (;;) {
    const ttl = await bench.client.command<number>('TTL', key);
    if (ttl !== -2) return ttl;
  }
}

test('a phrase is synthesised once, for this process and for the next', async () => {
  const first = newCache();
  const pcm = Int16Array.of(1, -2, 3);
  assert.equal(await first.cache.get(phrase('one'), async () => pcm), pcm);
  assert.equal(await first.cache.get(phrase('one'), never), pcm);
  const ttl = await written('one');
  assert.ok(ttl > 86_000 && ttl <= 86_400, String(ttl));
  const second = newCache();
  assert.deepEqual(await second.cache.get(phrase('one'), never), pcm);
  assert.deepEqual(await first.lookups(), { miss: 1, memory: 1 });
  assert.deepEqual(await second.lookups(), { redis: 1 });
});

test('many that ask at once share one synthesis, and a failure reaches them all and is forgotten', async () => {
  const { cache, lookups } = newCache();
  let runs = 0;
  const failing = async () => {
    runs += 1;
    throw new Error('no voice');
  };
  const failed = await Promise.allSettled([1, 2, 3].map(() => cache.get(phrase('shared'), failing)));
  assert.deepEqual([runs, failed.map(({ status }) => status)], [1, ['rejected', 'rejected', 'rejected']]);
  const made = await Promise.all([1, 2, 3].map(() => cache.get(phrase('shared'), async () => Int16Array.of(runs++))));
  assert.deepEqual([runs, made], [2, [Int16Array.of(1), Int16Array.of(1), Int16Array.of(1)]]);
  assert.deepEqual(await lookups(), { miss: 2, joined: 4 });
});

test('everything that changes the sound is another phrase', () => {
  const hashes = [
    phrase('a'),
    phrase('b'),
    { ...phrase('a'), voice: 'w' },
    { ...phrase('a'), sampleRateHertz: 24_000 },
    { ...phrase('a'), rate: 1.5 },
  ].map(phraseHash);
  assert.equal(new Set(hashes).size, 5);
  assert.equal(phraseHash({ ...phrase('a'), rate: 1 }), hashes[0]);
});

test('a broken record in Redis is a miss', async () => {
  await bench.client.command('SET', bench.keys.ttsKey(phraseHash(phrase('broken'))), 'noise', 'EX', 60);
  const { cache } = newCache();
  assert.deepEqual(await cache.get(phrase('broken'), async () => Int16Array.of(7)), Int16Array.of(7));
});

test('long phrases are not kept, and nothing is written while Redis is short of memory', async () => {
  const { cache, lookups } = newCache({ maxPhraseBytes: 4 });
  for (let round = 0; round < 2; round++) await cache.get(phrase('long'), async () => new Int16Array(3));
  assert.deepEqual(await lookups(), { miss: 2 });
  const full = newCache({ mayWrite: () => false });
  await full.cache.get(phrase('unwritten'), async () => Int16Array.of(1));
  await bench.client.command('PING');
  assert.equal(await bench.client.command('EXISTS', bench.keys.ttsKey(phraseHash(phrase('unwritten')))), 0);
});

test('without Redis every phrase is a miss and no error', async (t) => {
  const away = await startState();
  t.after(() => away[Symbol.asyncDispose]());
  const { cache } = newCache({ redis: away.client });
  away.redis.freeze();
  assert.deepEqual(await cache.get(phrase('frozen'), async () => Int16Array.of(4)), Int16Array.of(4));
  away.redis.thaw();
  await away.redis.stop();
  assert.deepEqual(await cache.get(phrase('stopped'), async () => Int16Array.of(5)), Int16Array.of(5));
});
