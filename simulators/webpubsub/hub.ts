import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { ClientClaims } from './tokens.ts';

export const SUBPROTOCOL = 'json.webpubsub.azure.v1';

interface Client {
  readonly id: string;
  readonly socket: WebSocket;
  readonly claims: ClientClaims;
  readonly groups: Set<string>;
  /** Speaks the subprotocol; a plain client gets the data alone. */
  readonly framed: boolean;
}

interface Frame {
  type?: string;
  group?: string;
  ackId?: number;
  data?: unknown;
  dataType?: string;
}

/** One hub: its clients and groups. */
export class PubSubHub {
  readonly #clients = new Set<Client>();

  get size(): number {
    return this.#clients.size;
  }

  members(group: string): number {
    return [...this.#clients].filter(({ groups }) => groups.has(group)).length;
  }

  add(socket: WebSocket, claims: ClientClaims): void {
    const framed = socket.protocol === SUBPROTOCOL;
    const client: Client = { id: randomUUID(), socket, claims, groups: new Set(claims.groups), framed };
    this.#clients.add(client);
    socket.on('close', () => this.#clients.delete(client));
    socket.on('error', () => socket.terminate());
    if (!framed) return;
    reply(client, { type: 'system', event: 'connected', userId: claims.userId, connectionId: client.id });
    socket.on('message', (data) => this.#frame(client, String(data)));
  }

  /** To a group, or to all. Data that is not JSON text travels as text. */
  send(group: string | undefined, data: unknown, dataType: 'json' | 'text'): void {
    for (const client of this.#clients) {
      if (group !== undefined && !client.groups.has(group)) continue;
      const from = group === undefined ? { from: 'server' } : { from: 'group', group };
      if (client.framed) reply(client, { type: 'message', ...from, dataType, data });
      else client.socket.send(dataType === 'json' ? JSON.stringify(data) : String(data));
    }
  }

  #frame(client: Client, text: string): void {
    const frame = JSON.parse(text) as Frame;
    const { type, group = '', ackId } = frame;
    const acknowledge = (error?: { name: string; message: string }) => {
      if (ackId !== undefined)
        reply(client, { type: 'ack', ackId, success: error === undefined, ...(error ? { error } : {}) });
    };
    const forbidden = { name: 'Forbidden', message: 'The client does not have permission for this group.' };
    switch (type) {
      case 'joinGroup':
      case 'leaveGroup':
        if (!allows(client, 'joinLeaveGroup', group)) return void acknowledge(forbidden);
        client.groups[type === 'joinGroup' ? 'add' : 'delete'](group);
        return void acknowledge();
      case 'sendToGroup':
        if (!allows(client, 'sendToGroup', group)) return void acknowledge(forbidden);
        this.send(group, frame.data, frame.dataType === 'text' ? 'text' : 'json');
        return void acknowledge();
      case 'ping':
        return void reply(client, { type: 'pong' });
      default:
        client.socket.close(1007, 'the frame is not known');
    }
  }
}

function allows({ claims }: Client, right: string, group: string): boolean {
  return claims.roles.includes(`webpubsub.${right}`) || claims.roles.includes(`webpubsub.${right}.${group}`);
}

function reply(client: Client, message: object): void {
  client.socket.send(JSON.stringify(message));
}
