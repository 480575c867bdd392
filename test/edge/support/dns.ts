import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

const TYPE_A = 1;
const TYPE_OPT = 41;
const NAME_ERROR = 3;
const PLAIN_ANSWER_BYTES = 512;
const HEADER_BYTES = 12;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Name, type and class as they came. */
  readonly bytes: Buffer;
  /** Largest answer that the asker takes (RFC 6891). */
  readonly maxBytes: number;
}

/** A name server for A records over UDP (RFC 1035): names that it does not hold get a negative answer, too long answers are cut. */
export class NameServer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #records = new Map<string, readonly string[]>();
  /** Names in the order they were asked for. */
  readonly queries: string[] = [];
  /** Answers that did not fit. */
  truncated = 0;
  /** Hears and says nothing. */
  silent = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message, from) => this.#answer(message, from));
  }

  static async start(): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** None takes the name away. */
  set(name: string, addresses: readonly string[]): void {
    if (addresses.length === 0) this.#records.delete(name.toLowerCase());
    else this.#records.set(name.toLowerCase(), addresses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(message: Buffer, from: RemoteInfo): void {
    const question = parse(message);
    this.queries.push(question.name);
    if (this.silent) return;
    const addresses = this.#records.get(question.name.toLowerCase());
    const found = question.type === TYPE_A ? (addresses ?? []) : [];
    let answer = reply(question, found, addresses === undefined ? NAME_ERROR : 0);
    if (answer.length > question.maxBytes) {
      this.truncated++;
      answer = reply(question, [], 0, true);
    }
    this.#socket.send(answer, from.port, from.address);
  }
}

function parse(message: Buffer): Question {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const end = at + 5;
  const additional = message.readUInt16BE(10);
  // The only record behind the question is OPT: an empty name, its type, and in the place of the class the size.
  const extended = additional > 0 && message.readUInt16BE(end + 1) === TYPE_OPT;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.'),
    type: message.readUInt16BE(at + 1),
    bytes: message.subarray(HEADER_BYTES, end),
    maxBytes: extended ? message.readUInt16BE(end + 3) : PLAIN_ANSWER_BYTES,
  };
}

function reply(question: Question, addresses: readonly string[], code: number, truncated = false): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(question.id, 0);
  // Answer, authoritative, recursion desired and available.
  header.writeUInt16BE(0x8580 | (truncated ? 0x0200 : 0) | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    // The name is a pointer to the one in the question; class IN; 5 seconds to live.
    const record = Buffer.from('c00c000100010000000500040000', 'hex').subarray(0, 12);
    return Buffer.concat([record, Buffer.from(address.split('.').map(Number))]);
  });
  return Buffer.concat([header, question.bytes, ...records]);
}
