import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Lane } from './fault_lane.ts';
import type { Direction, Toxic } from './fault_toxics.ts';

export type { Direction, Toxic } from './fault_toxics.ts';

/** A TCP proxy that breaks what passes through it, in the words of toxiproxy. It counts nothing and knows no protocol. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Holds for all connections, also those that are open. Gives what takes it away. */
  add(toxic: Toxic): () => void;
  /** Takes every toxic away; what latency and bandwidth hold back still comes, in order. What was swallowed or cut does not. */
  clear(): void;
  /** Both ends of every connection see a reset (RST), now. */
  reset(): void;
  /** New connections are closed at once until `accept`; those that are open stay. */
  refuse(): void;
  accept(): void;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** In front of `port` of `host`. */
export async function startFaultProxy(target: { port: number; host?: string }): Promise<FaultProxy> {
  const { port, host = '127.0.0.1' } = target;
  const toxics: Toxic[] = [];
  const pairs = new Set<Pair>();
  let refusing = false;
  const reset = () => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (refusing) return near.resetAndDestroy();
    const far = connect({ port, host, allowHalfOpen: true });
    const pair = { near, far };
    pairs.add(pair);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('close', () => {
        if (near.destroyed && far.destroyed) pairs.delete(pair);
      });
    }
    relay(near, far, 'upstream', toxics);
    relay(far, near, 'downstream', toxics);
    return undefined;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    add: (toxic) => {
      toxics.push(toxic);
      return () => {
        const at = toxics.indexOf(toxic);
        if (at >= 0) toxics.splice(at, 1);
      };
    },
    clear: () => {
      toxics.length = 0;
    },
    reset,
    refuse: () => {
      refusing = true;
    },
    accept: () => {
      refusing = false;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.destroy();
      await closed;
    },
  };
}

function relay(from: Socket, to: Socket, direction: Direction, toxics: readonly Toxic[]): void {
  const lane = new Lane({
    active: () => toxics.filter((toxic) => toxic.stream === direction),
    write: (bytes) => (to.writable ? to.write(bytes) : true),
    drained: () => Promise.race(['drain', 'close'].map((event) => once(to, event))).catch(() => undefined),
    end: () => to.end(),
    cut: (how) => {
      for (const socket of [from, to]) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
    },
    pause: () => from.pause(),
    resume: () => from.resume(),
  });
  from.on('data', (bytes: Buffer) => lane.push(bytes));
  from.on('end', () => lane.push(undefined));
  // A reset is passed on at once, past what is still on its way, unless the connection is half-open.
  from.on('error', () => {
    lane.abort();
    if (!toxics.some((toxic) => toxic.stream === direction && toxic.type === 'timeout')) to.resetAndDestroy();
  });
  to.on('close', () => lane.abort());
}
