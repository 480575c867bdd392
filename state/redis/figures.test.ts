import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRedisFigures, worstFigures } from './figures.ts';

const shard = {
  usedMemoryBytes: 10,
  maxMemoryBytes: 100,
  clients: 5,
  maxClients: 100,
  operationsPerSecond: 1000,
};

test('of several shards the fullest one counts, figure by figure', () => {
  const full = { ...shard, usedMemoryBytes: 40, maxMemoryBytes: 50 };
  const crowded = { ...shard, clients: 60, maxClients: 80 };
  const busy = { ...shard, operationsPerSecond: 9000 };
  assert.deepEqual(worstFigures([shard, full, crowded, busy]), {
    usedMemoryBytes: 40,
    maxMemoryBytes: 50,
    clients: 60,
    maxClients: 80,
    operationsPerSecond: 9000,
  });
  const unlimited = { ...shard, maxMemoryBytes: undefined };
  assert.equal(worstFigures([{ ...unlimited, usedMemoryBytes: 3 }, unlimited]).usedMemoryBytes, 10);
});

test('reads every shard, and one server once', async () => {
  const info = (usedBytes: number) => `used_memory:${usedBytes}\r\nmaxmemory:100\r\n`;
  const asked: string[] = [];
  const answer = async <T>(server: string) => {
    asked.push(server);
    return info(server === 'b' ? 70 : 20) as T;
  };
  const one = { command: <T>() => answer<T>('any'), commandAt: answer };
  assert.equal((await readRedisFigures({ ...one, servers: ['a', 'b'] })).usedMemoryBytes, 70);
  assert.equal((await readRedisFigures({ ...one, servers: ['a'] })).usedMemoryBytes, 20);
  assert.deepEqual(asked, ['a', 'b', 'any']);
});
