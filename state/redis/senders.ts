import type { Cluster, Redis } from 'ioredis';
import type { Argument, ReplyForm, Sender } from './connection.ts';
import type { Script } from './script.ts';

type Method = (...args: Argument[]) => Promise<unknown>;

/** Commands and scripts of one ioredis client, each looked up and wrapped once. */
export class Senders {
  readonly #client: Redis | Cluster;
  readonly #wrap: (method: Method) => Sender;
  /** By the script itself: a lookup by its text would read kilobytes of Lua for every command. */
  readonly #byScript: Readonly<Record<ReplyForm, WeakMap<Script, Sender>>> = {
    text: new WeakMap(),
    buffer: new WeakMap(),
  };
  readonly #byName: Readonly<Record<ReplyForm, Map<string, Sender>>> = { text: new Map(), buffer: new Map() };
  /** Told apart by their text: pools on one connection may have other times written into a script of the same name. */
  readonly #numbers = new Map<string, number>();

  constructor(client: Redis | Cluster, wrap: (method: Method) => Sender) {
    this.#client = client;
    this.#wrap = wrap;
  }

  script(script: Script, form: ReplyForm): Sender {
    const known = this.#byScript[form].get(script);
    if (known) return known;
    const { name, keys, lua } = script;
    const number = this.#numbers.get(lua) ?? this.#numbers.size;
    this.#numbers.set(lua, number);
    const command = `rtvoice_${name}_${number}`;
    this.#client.defineCommand(command, { numberOfKeys: keys.length, lua });
    const sender = this.#wrap(this.#method(command, form));
    this.#byScript[form].set(script, sender);
    return sender;
  }

  command(name: string, form: ReplyForm): Sender {
    const known = this.#byName[form].get(name);
    if (known) return known;
    const sender = this.#wrap(this.#method(name.toLowerCase(), form));
    this.#byName[form].set(name, sender);
    return sender;
  }

  #method(name: string, form: ReplyForm): Method {
    const method = form === 'buffer' ? `${name}Buffer` : name;
    const found = (this.#client as unknown as Record<string, Method | undefined>)[method];
    if (typeof found !== 'function') throw new Error(`ioredis has no command ${method}`);
    return found.bind(this.#client);
  }
}
