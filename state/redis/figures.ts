import type { RedisClient } from './client.ts';

/** How full a Redis server is, from one INFO. */
export interface RedisFigures {
  readonly usedMemoryBytes: number;
  /** Undefined when the server has no limit: then no share can be told. */
  readonly maxMemoryBytes: number | undefined;
  readonly clients: number;
  readonly maxClients: number;
  readonly operationsPerSecond: number;
}

/** Share of the memory limit in percent; undefined without a limit. */
export function memoryPercent({ usedMemoryBytes, maxMemoryBytes }: RedisFigures): number | undefined {
  return maxMemoryBytes === undefined ? undefined : (100 * usedMemoryBytes) / maxMemoryBytes;
}

/** Of the server; with shards the worst of each figure, since each shard has its own limits. */
export async function readRedisFigures(
  client: Pick<RedisClient, 'command'> & Partial<Pick<RedisClient, 'servers' | 'commandAt'>>,
): Promise<RedisFigures> {
  const { servers = [] } = client;
  if (servers.length < 2) return parseInfo(await client.command<string>('INFO'));
  const texts = await Promise.all(servers.map((server) => client.commandAt?.<string>(server, 'INFO') ?? ''));
  return worstFigures(texts.map(parseInfo));
}

/** Memory of the fullest, and the most clients and operations of any. */
export function worstFigures(shards: readonly RedisFigures[]): RedisFigures {
  return shards.reduce((worst, shard) => ({
    ...(isFuller(shard, worst) ? shard : worst),
    ...(shard.clients * worst.maxClients > worst.clients * shard.maxClients ? clientsOf(shard) : clientsOf(worst)),
    operationsPerSecond: Math.max(worst.operationsPerSecond, shard.operationsPerSecond),
  }));
}

function isFuller(a: RedisFigures, b: RedisFigures): boolean {
  const [shareA, shareB] = [memoryPercent(a), memoryPercent(b)];
  if (shareA === undefined || shareB === undefined) return a.usedMemoryBytes > b.usedMemoryBytes;
  return shareA > shareB;
}

function clientsOf({ clients, maxClients }: RedisFigures): Pick<RedisFigures, 'clients' | 'maxClients'> {
  return { clients, maxClients };
}

/** The text of INFO as figures; a field that is missing counts as 0, since a proxy may leave some out. */
export function parseInfo(text: string): RedisFigures {
  const fields = new Map(
    text.split('\r\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at), Number(line.slice(at + 1))] as const] : [];
    }),
  );
  const value = (name: string) => {
    const number = fields.get(name);
    return number !== undefined && Number.isFinite(number) ? number : 0;
  };
  const limit = value('maxmemory');
  return {
    usedMemoryBytes: value('used_memory'),
    maxMemoryBytes: limit > 0 ? limit : undefined,
    clients: value('connected_clients'),
    maxClients: value('maxclients'),
    operationsPerSecond: value('instantaneous_ops_per_sec'),
  };
}
