import { DNS_LABEL, POOL_NAME_MAX, type PoolRef, poolTag, safeIdentifier } from '../../contract/ids.ts';
import { defineError } from '../../platform/errors.ts';
import { migrateLegacyKey } from '../legacy/key_names.ts';
import { keyKind } from './catalogue.ts';
import type { Component, DataType } from './component.ts';
import { DATA_TYPES } from './component.ts';

export const KEY_INVALID = defineError('ERR_KEY_INVALID', {
  status: 500,
  message: 'a Redis key cannot be built',
  remedy:
    'Use an app prefix of [a-z0-9-], an environment of dev, test, staging or prod, and identifiers of [A-Za-z0-9._-].',
});

export const ENVIRONMENTS = ['dev', 'test', 'staging', 'prod'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/**
 * `standalone`: keys literally as documented, for servers without slots.
 * `cluster`: the part that decides the slot (call id or pool tag) stands in braces, so that one call's or one pool's keys share a slot.
 */
export type KeyLayout = 'standalone' | 'cluster';

export interface ParsedKey {
  appPrefix: string;
  environment: Environment;
  dataType: DataType;
  /** Without braces. */
  identifier: string;
  component: string | undefined;
}

const PREFIX = /^[a-z0-9][a-z0-9-]{0,39}$/;
const COMPONENT = /^[A-Za-z0-9._-]{1,128}$/;
/** Data types whose second segment is one identifier. */
const BY_IDENTIFIER: ReadonlySet<DataType> = new Set<DataType>(['call', 'conversation', 'profile', 'auth']);
const DEFAULT_PREFIX = 'rtvoice';

/**
 * The only builder of Redis keys: `{app_prefix}:{environment}:{data_type}:{identifier}:{component}`, component optional.
 * Identifiers outside the grammar are replaced by a hash, so that no identifier can reach another key; pool tags and
 * worker ids never are: they are refused instead.
 */
export class RedisKeyManager {
  readonly appPrefix: string;
  readonly environment: Environment;
  readonly layout: KeyLayout;
  readonly #head: string;

  constructor(options: { environment: string; appPrefix?: string; layout?: KeyLayout }) {
    this.appPrefix = options.appPrefix ?? DEFAULT_PREFIX;
    this.layout = options.layout ?? 'standalone';
    if (!PREFIX.test(this.appPrefix)) throw KEY_INVALID.with(`app prefix ${JSON.stringify(this.appPrefix)}`);
    // Falling back to `dev` here would let a mistyped production name write into development keys.
    this.environment = parseEnvironment(options.environment);
    this.#head = `${this.appPrefix}:${this.environment}:`;
  }

  /**
   * Matches keys of this prefix and environment, for SCAN: all of them, those of a data type, of a component, or of one identifier
   * (calls, conversations, profiles and authentication; pools have `workersPattern` and `poolPattern`).
   * What is left out matches anything. No part can widen another, since none may hold a wildcard.
   */
  pattern(parts: { dataType?: DataType; identifier?: string; component?: string } = {}): string {
    const { dataType, identifier, component } = parts;
    if (dataType === undefined && identifier === undefined && component === undefined) return `${this.#head}*`;
    if (component !== undefined && !COMPONENT.test(component))
      throw KEY_INVALID.with(`component ${JSON.stringify(component.slice(0, 80))}`);
    if (identifier === undefined) return `${this.#head}${dataType ?? '*'}:*:${component ?? '*'}`;
    if (dataType === undefined || !BY_IDENTIFIER.has(dataType))
      throw KEY_INVALID.with(`a pattern of an identifier needs one of the data types ${[...BY_IDENTIFIER].join(', ')}`);
    return `${this.#head}${dataType}:${this.#tagged(safeIdentifier(identifier))}:${component ?? '*'}`;
  }

  /** Matches every key of a pool's workers, for SCAN. */
  workersPattern(pool: PoolRef): string {
    return `${this.#head}worker:${this.#tagged(checkedTag(pool))}.*`;
  }

  /** Matches every index of a pool, for SCAN. */
  poolPattern(pool: PoolRef): string {
    return `${this.#head}system:${this.#tagged(checkedTag(pool))}:*`;
  }

  /** Components of `call`; `callConnectionId` is the session id of the call as well. */
  callKey(callConnectionId: string, component: Component): string {
    return this.#key('call', this.#tagged(safeIdentifier(callConnectionId)), component);
  }

  conversationKey(sessionId: string, component: Component): string {
    return this.#key('conversation', this.#tagged(safeIdentifier(sessionId)), component);
  }

  workerKey(pool: PoolRef, worker: string, component: Component): string {
    if (!DNS_LABEL.test(worker)) throw KEY_INVALID.with(`worker id ${JSON.stringify(worker.slice(0, 80))}`);
    return this.#key('worker', `${this.#tagged(checkedTag(pool))}.${worker}`, component);
  }

  /** Indexes of one pool; all share one slot. */
  systemKey(pool: PoolRef, component: Component): string {
    return this.#key('system', this.#tagged(checkedTag(pool)), component);
  }

  /** Records of no pool, such as the layout marker or a job's last run. */
  globalKey(name: string, component: Component): string {
    return this.#key('system', safeIdentifier(name), component);
  }

  /** `…:cache:tts:<hash>`, as documented: audio is shared between calls, so each phrase has a slot of its own. */
  ttsKey(phraseHash: string): string {
    return this.#key('cache', 'tts', safeIdentifier(phraseHash));
  }

  /** In the call's slot, since the last checkpoint writes it together with the call. */
  summaryKey(callConnectionId: string): string {
    return this.callKey(callConnectionId, 'summary');
  }

  /** `callerId` is the caller's pseudonym, never a phone number. */
  profileKey(callerId: string, component: 'copy' | 'keys' = 'copy'): string {
    return this.#key('profile', this.#tagged(safeIdentifier(callerId)), component);
  }

  /** In the call's slot. */
  authKey(callConnectionId: string): string {
    return this.#key('auth', this.#tagged(safeIdentifier(callConnectionId)), 'state');
  }

  /** The key that takes the place of a flat key of older systems; undefined for a key that has no successor. Touches nothing. */
  migrateLegacyKey(key: string): string | undefined {
    return migrateLegacyKey(this, key);
  }

  /** The parts of a key of this prefix, environment and layout; undefined for any other text. */
  parse(key: string): ParsedKey | undefined {
    if (!key.startsWith(this.#head)) return undefined;
    const segments = key.slice(this.#head.length).split(':');
    const [dataType, slotted, component] = segments;
    if (segments.length > 3 || !isDataType(dataType) || slotted === undefined) return undefined;
    if (component !== undefined && !COMPONENT.test(component)) return undefined;
    const identifier = this.layout === 'cluster' ? slotted.replace(/^\{([^{}]+)\}/, '$1') : slotted;
    // A worker's identifier is a pool tag and a worker id, each bounded by itself.
    if (!/^[A-Za-z0-9._-]{1,170}$/.test(identifier)) return undefined;
    return { appPrefix: this.appPrefix, environment: this.environment, dataType, identifier, component };
  }

  #tagged(part: string): string {
    return this.layout === 'cluster' ? `{${part}}` : part;
  }

  #key(dataType: DataType, identifier: string, component: string): string {
    // A component of another data type would be a record that nothing reads and no audit knows.
    if (keyKind(dataType, component) === undefined) throw KEY_INVALID.with(`${dataType} has no component ${component}`);
    return `${this.#head}${dataType}:${identifier}:${component}`;
  }
}

export function parseEnvironment(text: string): Environment {
  const found = ENVIRONMENTS.find((name) => name === text);
  if (!found) throw KEY_INVALID.with(`environment ${JSON.stringify(text)} is none of ${ENVIRONMENTS.join(', ')}`);
  return found;
}

function checkedTag(pool: PoolRef): string {
  if (!DNS_LABEL.test(pool.namespace))
    throw KEY_INVALID.with(`namespace ${JSON.stringify(pool.namespace.slice(0, 80))}`);
  if (!DNS_LABEL.test(pool.pool) || pool.pool.length > POOL_NAME_MAX) {
    throw KEY_INVALID.with(
      `pool ${JSON.stringify(pool.pool.slice(0, 80))} is not a DNS label of at most ${POOL_NAME_MAX} characters`,
    );
  }
  return poolTag(pool);
}

function isDataType(text: string | undefined): text is DataType {
  return DATA_TYPES.some((type) => type === text);
}
