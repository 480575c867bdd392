import type { RedisClient } from '../redis/client.ts';
import { LEGACY_TOO_LARGE, LEGACY_UNREADABLE, shownKey } from './errors.ts';
import { type LegacyKeyKind, legacyKeys } from './key_names.ts';
import type { LegacyLimits } from './limits.ts';
import { READ_LEGACY_SCRIPT } from './scripts.ts';
import type { LegacyFault, LegacySource, LegacyValue } from './source.ts';

type Reply = [kind: Buffer, figure?: number | Buffer, content?: Buffer | Buffer[]];

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the flat keys of calls and conversations, each in a step of its own since they share no slot. */
export class LegacyReader {
  readonly #redis: RedisClient;
  readonly #limits: LegacyLimits;

  constructor(redis: RedisClient, limits: LegacyLimits) {
    this.#redis = redis;
    this.#limits = limits;
  }

  /**
   * Everything under the flat keys that belongs to this call or conversation; a key that cannot be read is a fault, not the end.
   * Call state lies in two hashes: the event processor's under the call id, the media handler's under `media_<id>` or under the
   * browser's session id, to which the call is mapped. An id over `maxIdLength` has nothing. Rejects with ERR_REDIS_… when Redis does not answer.
   */
  async read(id: string): Promise<LegacySource> {
    const faults: LegacyFault[] = [];
    if (id.length > this.#limits.maxIdLength) return { id, sessionId: undefined, values: [], faults };
    const one = (kind: LegacyKeyKind, key: string) => this.#one(kind, key, faults);
    const [main, map, alias, media, ...others] = await Promise.all([
      one('session', legacyKeys.session(id)),
      one('callMap', legacyKeys.callMap(id)),
      one('callMap', legacyKeys.callMapAlias(id)),
      one('mediaSession', legacyKeys.mediaSession(id)),
      one('history', legacyKeys.history(id)),
      one('callSession', legacyKeys.callSession(id)),
      one('recording', legacyKeys.recording(id)),
      one('participants', legacyKeys.participants(id)),
      one('mediaStream', legacyKeys.mediaStream(id)),
      one('streamMode', legacyKeys.streamMode(id)),
      one('recordingPreference', legacyKeys.recordingPreference(id)),
    ]);
    const sessionId = textOf(map) ?? textOf(alias);
    const isOther = sessionId !== undefined && sessionId !== '' && sessionId !== id && sessionId !== `media_${id}`;
    const mapped =
      isOther && sessionId.length <= this.#limits.maxIdLength
        ? await one('session', legacyKeys.session(sessionId))
        : undefined;
    const values = [main, media, mapped, map, alias, ...others].filter((value) => value !== undefined);
    return { id, sessionId, values, faults };
  }

  async #one(kind: LegacyKeyKind, key: string, faults: LegacyFault[]): Promise<LegacyValue | undefined> {
    const { maxKeyBytes, maxItems } = this.#limits;
    const [type, figure, content] = await this.#redis.runBuffer<Reply>(
      READ_LEGACY_SCRIPT,
      [key],
      [maxKeyBytes, maxItems],
    );
    const name = type.toString();
    if (name === 'none') return undefined;
    if (name === 'large') {
      faults.push(fault(key, LEGACY_TOO_LARGE.with(`${shownKey(key)}: ${String(figure)} bytes or items`)));
      return undefined;
    }
    if (name === 'type') {
      faults.push(fault(key, LEGACY_UNREADABLE.with(`${shownKey(key)}: holds a ${String(figure)}`)));
      return undefined;
    }
    try {
      return { key, kind, bytes: Number(figure), value: decoded(name, content) };
    } catch {
      // A replacement character in the place of a byte would be another text.
      faults.push(fault(key, LEGACY_UNREADABLE.with(`${shownKey(key)}: not UTF-8`)));
      return undefined;
    }
  }
}

function decoded(type: string, content: Buffer | Buffer[] | undefined): LegacyValue['value'] {
  const texts = (Array.isArray(content) ? content : [content ?? Buffer.alloc(0)]).map((each) =>
    strictUtf8.decode(each),
  );
  if (type === 'string') return { type: 'string', text: texts[0] ?? '' };
  if (type === 'list') return { type: 'list', items: texts };
  const fields = new Map<string, string>();
  for (let at = 0; at < texts.length; at += 2) fields.set(texts[at] ?? '', texts[at + 1] ?? '');
  return { type: 'hash', fields };
}

function fault(key: string, error: { code: string; message: string }): LegacyFault {
  return { key, code: error.code, reason: error.message };
}

function textOf(value: LegacyValue | undefined): string | undefined {
  return value?.value.type === 'string' ? value.value.text : undefined;
}
