import { VALUE_TOO_LARGE } from './errors.ts';
import type { JsonValue } from './json_value.ts';
import type { AsyncAzureRedisManager, WriteOptions } from './redis_manager.ts';

const MAX_OPERATIONS = 512;

/** Operations that are sent together: one write on the connection, answers in the order of adding. */
export class Batch {
  readonly #manager: AsyncAzureRedisManager;
  readonly #operations: (() => Promise<unknown>)[] = [];

  constructor(manager: AsyncAzureRedisManager) {
    this.#manager = manager;
  }

  setJson(key: string, value: JsonValue, options?: WriteOptions): this {
    return this.#add(() => this.#manager.setJson(key, value, options));
  }

  getJson(key: string): this {
    return this.#add(() => this.#manager.getJson(key));
  }

  setBinary(key: string, bytes: Uint8Array, options?: WriteOptions): this {
    return this.#add(() => this.#manager.setBinary(key, bytes, options));
  }

  getBinary(key: string): this {
    return this.#add(() => this.#manager.getBinary(key));
  }

  extendTtl(key: string, options?: WriteOptions): this {
    return this.#add(() => this.#manager.extendTtl(key, options));
  }

  updateSessionField(callConnectionId: string, field: string, value: JsonValue): this {
    return this.#add(() => this.#manager.updateSessionField(callConnectionId, field, value));
  }

  get size(): number {
    return this.#operations.length;
  }

  /** One result for each operation, as `Promise.allSettled` gives them: one that fails stops none of the others. */
  run(): Promise<PromiseSettledResult<unknown>[]> {
    return Promise.allSettled(this.#operations.splice(0).map((operation) => operation()));
  }

  #add(operation: () => Promise<unknown>): this {
    if (this.#operations.length >= MAX_OPERATIONS)
      throw VALUE_TOO_LARGE.with(`batch: more than ${MAX_OPERATIONS} operations; run it and begin another`);
    this.#operations.push(operation);
    return this;
  }
}
