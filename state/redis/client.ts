import { EventEmitter } from 'node:events';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import { systemRandom } from '../../platform/random.ts';
import { Authentication } from './authentication.ts';
import { Availability, type AvailabilityEvent, isAvailable, isWhole } from './availability.ts';
import { Breaker, type BreakerListener, type BreakerState } from './breaker.ts';
import type { RedisClientOptions } from './client_options.ts';
import type { Argument, RedisConnection, RedisNode, ReplyForm, Sender } from './connection.ts';
import { ConnectionFault } from './connection_fault.ts';
import { staticCredentials } from './credentials.ts';
import { commandResult, isNodeAway, REDIS_OVERLOADED, REDIS_UNAVAILABLE, redisError, setupFault } from './errors.ts';
import { type RedisMetrics, redisMetrics } from './metrics.ts';
import { openConnection } from './open_connection.ts';
import { type RedisRole, ROLE_LIMITS, type RoleLimits } from './options.ts';
import { Probes } from './probes.ts';
import type { Script } from './script.ts';
import { keyLayoutOf, parseRedisTarget } from './target.ts';
import { tlsOptions } from './tls.ts';
import { Waiters } from './waiters.ts';

export type { RedisClientOptions } from './client_options.ts';
export type { Argument } from './connection.ts';

/**
 * One client of a Redis, whatever form it has. Every command has a time limit and fails with a named error; a server that does not answer is asked
 * again by probes only. `up` and `down` tell when Redis, or a shard of it, comes and goes.
 */
export class RedisClient extends EventEmitter<{ up: []; down: [] }> {
  readonly role: RedisRole;
  readonly metrics: RedisMetrics;
  readonly maxInFlight: number;
  readonly #connection: RedisConnection;
  readonly #auth: Authentication;
  readonly #availability = new Availability();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: RoleLimits;
  readonly #slots: boolean;
  readonly #probes: Probes;
  /** Told at each change of a breaker or of the nodes. */
  readonly #waiters: Waiters;
  readonly #fault: ConnectionFault;
  #everUp = false;
  #closed = false;
  #inFlight = 0;
  #lastGoodMs: number;

  constructor(options: RedisClientOptions) {
    super();
    const target = 'target' in options ? options.target : parseRedisTarget('Standalone', options.url);
    const { role, clock, log } = options;
    this.#limits = { ...ROLE_LIMITS[role], ...options.limits };
    this.role = role;
    this.maxInFlight = this.#limits.maxInFlight;
    this.#clock = clock;
    this.#log = log;
    this.#lastGoodMs = clock.monotonicMs();
    this.#waiters = new Waiters(clock);
    this.#fault = new ConnectionFault(log);
    this.#slots = keyLayoutOf(target.mode) === 'cluster';
    this.metrics = redisMetrics(options.registry);
    const source = options.credentials ?? staticCredentials(target);
    this.#auth = new Authentication({ source, log, metrics: this.metrics });
    this.#connection = openConnection(
      {
        target,
        limits: this.#limits,
        random: options.random ?? systemRandom,
        connectionName: options.name ?? `rtvoice-${role}`,
        tls: tlsOptions(target, options.tlsCa),
        clock,
        makeNode: (name) => this.#makeNode(name),
      },
      this.#auth,
      {
        connected: (node) => this.#probes.send(node),
        changed: () => this.#check(false),
        fault: (error) => this.#fault.happened(error),
      },
    );
    this.metrics.watch(this);
    this.#probes = new Probes({
      ...{ clock, log, metrics: this.metrics, connection: this.#connection },
      attempt: (node, asked) =>
        this.#attempt(
          'ping',
          () => asked,
          () => node,
        ),
      roundEnded: () => this.#emit(this.#availability.roundEnded(this.#connection.nodes())),
    });
    this.#auth.whenKnown(() => this.#connection.connect());
  }

  /** True from a good reply until a lost connection or an unanswered command; with shards, while at least one serves. */
  get available(): boolean {
    return !this.#closed && isAvailable(this.#connection.nodes());
  }

  /** Milliseconds since the last good reply while unavailable, else 0. */
  get unavailableForMs(): number {
    return this.available ? 0 : Math.max(0, this.#clock.monotonicMs() - this.#lastGoodMs);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get breakerStates(): readonly BreakerState[] {
    return this.#connection.nodes().map(({ breaker }) => breaker.state);
  }

  get protocols(): readonly string[] {
    return this.#connection.protocols();
  }

  /**
   * Resolves once Redis has answered, with shards once all have, or one has when the time is over. Rejects after `timeoutMs`: with ERR_REDIS_TLS_VERSION, ERR_REDIS_CERTIFICATE or ERR_REDIS_DENIED
   * when the last connection failed on that, else with ERR_REDIS_UNAVAILABLE.
   */
  async ready(timeoutMs = 5000): Promise<void> {
    const whole = () => !this.#closed && isWhole(this.#connection.nodes());
    // Whoever begins asks every shard, and would be refused by those that are a round trip late.
    if ((await this.#waiters.until(whole, timeoutMs)) || this.available) return;
    throw setupFault(this.#fault.last) ?? REDIS_UNAVAILABLE.with('first connection', this.#fault.last);
  }

  /** Runs a script with its declared keys; replies as text. The client loads it again after the server has forgotten it. */
  run<T>(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<T> {
    return this.#send<T>(script.name, this.#connection.script(script, 'text'), [...keys, ...args], keys[0]);
  }

  /** As `run`, with every text of the reply as a Buffer. */
  runBuffer<T>(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<T> {
    return this.#send<T>(script.name, this.#connection.script(script, 'buffer'), [...keys, ...args], keys[0]);
  }

  /** One command by its name, for example `command('GET', key)`. One without a key goes to any shard. */
  command<T>(name: string, ...args: Argument[]): Promise<T> {
    return this.#command(name, 'text', args);
  }

  /** As `command`, with every text of the reply as a Buffer. */
  commandBuffer<T>(name: string, ...args: Argument[]): Promise<T> {
    return this.#command(name, 'buffer', args);
  }

  /** Servers that hold data, as `commandAt` takes them: one, or the masters of all shards. */
  get servers(): readonly string[] {
    return this.#connection.nodes().map(({ name }) => name);
  }

  /** One command to one server of `servers`, whatever keys it has: for INFO, SCAN and the like. */
  commandAt<T>(server: string, name: string, ...args: Argument[]): Promise<T> {
    const op = name.toLowerCase();
    const node = this.#connection.nodes().find((each) => each.name === server);
    if (!node) return Promise.reject(REDIS_UNAVAILABLE.with(`${op} at ${server}`));
    return this.#sendTo<T>(
      op,
      () => this.#connection.toNode(node, name, args),
      () => node,
    );
  }

  /** Closes at once; commands in flight fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#probes.close();
    this.metrics.unwatch(this);
    this.#auth.close();
    this.#connection.close();
    this.#waiters.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #command<T>(name: string, form: ReplyForm, args: readonly Argument[]): Promise<T> {
    const sender = this.#connection.command(name, form);
    return this.#send<T>(name.toLowerCase(), sender, args, this.#connection.keyOf(name, args));
  }

  #send<T>(op: string, sender: Sender, args: readonly Argument[], key: string | undefined): Promise<T> {
    return this.#sendTo<T>(
      op,
      () => sender(args, key),
      () => this.#connection.nodeOf(key),
    );
  }

  /** `find`: who serves it; asked again afterwards, since a redirection or a failover may have changed it. */
  async #sendTo<T>(op: string, write: () => Promise<unknown>, find: () => RedisNode | undefined): Promise<T> {
    if (this.role === 'fastFail' && !this.#admits(find())) throw this.#refused(op);
    if (this.#inFlight >= this.maxInFlight) throw REDIS_OVERLOADED.with(op);
    const startMs = this.#clock.monotonicMs();
    this.#inFlight += 1;
    try {
      const serves = () => this.#admits(find());
      if (!serves() && !(await this.#waiters.until(serves, this.#limits.commandTimeoutMs))) {
        throw REDIS_UNAVAILABLE.with(op, this.#fault.last);
      }
      const reply = await this.#attempt(op, write, find);
      this.metrics.observe(op, 'ok', (this.#lastGoodMs - startMs) / 1000);
      return reply as T;
    } catch (error) {
      this.metrics.observe(op, commandResult(error), (this.#clock.monotonicMs() - startMs) / 1000);
      throw error;
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #attempt(op: string, write: () => Promise<unknown>, find: () => RedisNode | undefined): Promise<unknown> {
    const node = find();
    node?.breaker.entered();
    try {
      const reply = await write();
      this.#answered(node);
      return reply;
    } catch (cause) {
      const error = redisError(op, cause);
      if (!isNodeAway(error, this.#slots)) this.#answered(node);
      else if (node === find()) node?.breaker.failed(error.code);
      throw error;
    } finally {
      node?.breaker.left();
    }
  }

  /** While its server is away a command is refused on the call path; a patient one waits. */
  #admits(node: RedisNode | undefined): boolean {
    return node ? node.breaker.admits : this.available;
  }

  #refused(op: string): Error {
    this.metrics.observe(op, 'unavailable', 0);
    return REDIS_UNAVAILABLE.with(op, this.#fault.last);
  }

  #makeNode(name: string): RedisNode {
    const onChange: BreakerListener = ({ state, previous, reason }) => {
      if (this.#closed) return;
      const node = { role: this.role, node: name };
      if (state === 'open') {
        if (previous === 'closed') this.#log.warn({ ...node, reason }, 'Redis is unavailable');
        this.#emit(previous === 'closed' ? this.#availability.lost() : undefined);
        // The event loop may only have been late: then the answer is a round trip away.
        this.#probes.send(made);
      } else if (state === 'halfOpen') {
        this.#probes.send(made);
      } else {
        this.#log.info(node, 'Redis is available');
      }
      this.#check(state === 'closed');
    };
    // Once Redis has served, a node that joins serves at once: slots that move must not make a gap.
    const initial = this.#everUp ? 'closed' : 'open';
    const made: RedisNode = { name, breaker: new Breaker({ initial, onChange }), proven: false };
    return made;
  }

  #answered(node: RedisNode | undefined): void {
    this.#lastGoodMs = this.#clock.monotonicMs();
    if (!node || (node.proven && node.breaker.state === 'closed')) return;
    const met = !node.proven && node.breaker.state === 'closed';
    node.proven = true;
    node.breaker.answered();
    if (met) this.#check(true);
  }

  #check(closed: boolean): void {
    const nodes = this.#connection.nodes();
    if (!this.#closed) this.#emit(this.#availability.checked(nodes, closed));
    this.#waiters.tell();
  }

  #emit(event: AvailabilityEvent | undefined): void {
    if (event === undefined) return;
    if (event === 'up') {
      this.#everUp = true;
      this.#fault.clear();
    }
    this.emit(event);
  }
}
