import { freePort } from '../../platform/free_port.ts';
import { keySlot } from '../../state/redis/slot.ts';
import { eventually, redisCli, startRedis, type TestRedis } from './redis.ts';
import { Cleanup } from './redis_cleanup.ts';

/** Three masters with a replica each, all real. */
export interface TestCluster extends AsyncDisposable {
  /** For `RTVOICE_REDIS_URL`: three of the nodes. */
  readonly url: string;
  /** All nodes, those that `join` added included. */
  readonly nodes: readonly TestRedis[];
  /** The master that serves a key, as the others see it. */
  masterOf(key: string): Promise<TestRedis>;
  /** Resolves once `key` is served by another node than `old` and every node agrees. */
  failedOver(key: string, old: TestRedis): Promise<TestRedis>;
  /** Resolves once every master has a replica in step and every node sees all slots served, so that one may be killed. */
  settled(): Promise<void>;
  /** A new empty master; `prepare` runs before it joins. */
  join(prepare?: (node: TestRedis) => Promise<unknown>): Promise<TestRedis>;
  /** Moves slots with their keys from one master to another, one by one, as `redis-cli --cluster reshard` does. */
  move(slots: readonly number[], from: TestRedis, to: TestRedis): Promise<void>;
}

const NODE_TIMEOUT_MS = 1500;
const SLOTS = 16_384;
const KEYS_AT_ONCE = 100;

/**
 * `login`: `user:password@` for the URL; `prepare` runs on each node before the cluster is made. `tls`: arguments of a server that has keys; clients
 * then find the nodes by the name `localhost`, and each node names itself by its address, as those of Azure Managed Redis do.
 */
export async function startCluster(
  options: { login?: string; prepare?: (node: TestRedis) => Promise<unknown>; tls?: readonly string[] } = {},
): Promise<TestCluster> {
  const stack = new Cleanup();
  const nodes: TestRedis[] = [];
  const addresses: string[] = [];
  const buses = new Map<TestRedis, number>();
  const start = async (prepare?: (node: TestRedis) => Promise<unknown>) => {
    const [port, bus, tlsPort] = await freePorts();
    const tls = options.tls ? ['--tls-port', `${tlsPort}`, '--tls-cluster', 'yes', '--tls-replication', 'yes'] : [];
    const node = stack.use(await startRedis({ port, args: [...nodeArgs(bus), ...tls, ...(options.tls ?? [])] }));
    buses.set(node, bus);
    addresses.push(options.tls ? `localhost:${tlsPort}` : `127.0.0.1:${port}`);
    nodes.push(node);
    await prepare?.(node);
    return node;
  };
  try {
    for (let index = 0; index < 6; index++) await start(options.prepare);
    await make(nodes, buses);
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
  const settled = () => eventually('every slot served and every replica in step', () => isSettled(nodes));
  const cluster: TestCluster = {
    url: `${options.tls ? 'rediss' : 'redis'}://${options.login ?? ''}${addresses.slice(0, 3)}`,
    nodes,
    masterOf: (key) => masterOf(nodes, key),
    failedOver: async (key, old) => {
      const others = nodes.filter((node) => node !== old);
      await eventually('another node serves the key', async () => (await masterOf(others, key)) !== old);
      return masterOf(others, key);
    },
    settled,
    join: async (prepare) => {
      const [first] = nodes;
      const node = await start(prepare);
      if (first) await redisCli(node.port, 'CLUSTER', 'MEET', '127.0.0.1', first.port, buses.get(first) ?? 0);
      await eventually('the new node is known everywhere', () => agree(nodes));
      await eventually('it may serve', async () => {
        return (await redisCli(node.port, 'CLUSTER', 'INFO')).includes('cluster_state:ok');
      });
      return node;
    },
    move: async (slots, from, to) => {
      for (const slot of slots) await moveSlot(slot, from, to, nodes);
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
  await settled().catch(async (error) => {
    await stack[Symbol.asyncDispose]();
    throw error;
  });
  return cluster;
}

/** Three that differ: a port that nobody holds yet may come again. */
async function freePorts(): Promise<[number, number, number]> {
  const ports = new Set<number>();
  while (ports.size < 3) ports.add(await freePort());
  return [...ports] as [number, number, number];
}

function nodeArgs(bus: number): string[] {
  return [
    ...['--cluster-enabled', 'yes', '--cluster-port', `${bus}`, '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`],
    // One lost shard must not stop the others.
    ...['--cluster-require-full-coverage', 'no', '--cluster-replica-validity-factor', '0'],
    // A replica that is younger than this delay has no data yet and never takes over.
    ...['--repl-diskless-sync-delay', '0'],
  ];
}

async function make(nodes: readonly TestRedis[], buses: ReadonlyMap<TestRedis, number>): Promise<void> {
  const [first, ...others] = nodes;
  if (!first) return;
  const masters = nodes.slice(0, 3);
  for (const [index, { port }] of nodes.entries()) await redisCli(port, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  for (const { port } of others) {
    await redisCli(port, 'CLUSTER', 'MEET', '127.0.0.1', first.port, buses.get(first) ?? 0);
  }
  const share = Math.ceil(SLOTS / masters.length);
  for (const [index, { port }] of masters.entries()) {
    const last = Math.min(SLOTS, (index + 1) * share) - 1;
    await redisCli(port, 'CLUSTER', 'ADDSLOTSRANGE', index * share, last);
  }
  await eventually('all nodes know each other', () => agree(nodes));
  for (const [index, { port }] of nodes.slice(3).entries()) {
    const id = await redisCli(masters[index]?.port ?? 0, 'CLUSTER', 'MYID');
    await redisCli(port, 'CLUSTER', 'REPLICATE', id);
  }
}

/** Every node knows every other by name: none is in its handshake. */
async function agree(nodes: readonly TestRedis[]): Promise<boolean> {
  const views = await Promise.all(nodes.map(({ port }) => redisCli(port, 'CLUSTER', 'NODES')));
  return views.every((view) => view.split('\n').length === nodes.length && !/handshake|noaddr/.test(view));
}

async function isSettled(nodes: readonly TestRedis[]): Promise<boolean> {
  if (!(await agree(nodes))) return false;
  const states = await Promise.all(
    nodes.map(async ({ port }) => {
      const [info, replication] = await Promise.all([
        redisCli(port, 'CLUSTER', 'INFO'),
        redisCli(port, 'INFO', 'replication'),
      ]);
      const whole = info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`);
      return whole && (replication.includes('role:master') || replication.includes('master_link_status:up'));
    }),
  );
  const views = await Promise.all(nodes.map(({ port }) => redisCli(port, 'CLUSTER', 'NODES')));
  return states.every(Boolean) && views.every((view) => !/fail/.test(view));
}

async function masterOf(nodes: readonly TestRedis[], key: string): Promise<TestRedis> {
  const slot = keySlot(key);
  const views = await Promise.all(nodes.map(({ port }) => redisCli(port, 'CLUSTER', 'NODES').catch(() => '')));
  const ports = new Set(views.filter((view) => view !== '').map((view) => ownerPort(view, slot)));
  const [port] = ports;
  const found = nodes.find((node) => node.port === port);
  if (!found || ports.size > 1) throw new Error('the nodes do not agree on who serves the key');
  return found;
}

/** `<id> <ip:port@bus> <flags> <master> … <slots…>`: the master whose slots hold it. */
function ownerPort(view: string, slot: number): number | undefined {
  for (const line of view.split('\n')) {
    const [, address = '', flags = '', , , , , , ...ranges] = line.split(' ');
    if (!flags.includes('master') || /fail/.test(flags)) continue;
    const holds = ranges.some((range) => {
      const [low = '', high = low] = range.split('-');
      return !range.startsWith('[') && Number(low) <= slot && slot <= Number(high);
    });
    if (holds) return Number(/:(\d+)@/.exec(address)?.[1]);
  }
  return undefined;
}

async function moveSlot(slot: number, from: TestRedis, to: TestRedis, nodes: readonly TestRedis[]): Promise<void> {
  const [source, target] = await Promise.all([from, to].map(({ port }) => redisCli(port, 'CLUSTER', 'MYID')));
  await redisCli(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', source ?? '');
  await redisCli(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', target ?? '');
  for (;;) {
    const keys = (await redisCli(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, KEYS_AT_ONCE))
      .split('\n')
      .filter(Boolean);
    if (keys.length === 0) break;
    await redisCli(from.port, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
  }
  // The new owner first: between the two, both answers lead to it.
  await redisCli(to.port, 'CLUSTER', 'SETSLOT', slot, 'NODE', target ?? '');
  await redisCli(from.port, 'CLUSTER', 'SETSLOT', slot, 'NODE', target ?? '');
  const rest = nodes.filter((node) => node !== from && node !== to);
  // A replica does not take SETSLOT; it hears of it from the others.
  await Promise.all(
    rest.map(({ port }) => redisCli(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', target ?? '').catch(() => '')),
  );
}
