import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { BlindIndex } from '../../security/sealing/blind_index.ts';
import {
  KEYS_UNAVAILABLE,
  RECORD_KEY_ERASED,
  RECORD_NOT_AUTHENTIC,
  RECORD_PLAIN,
  SEAL_UNBOUND,
} from '../../security/sealing/errors.ts';
import { isSealable, plainMembers } from '../../security/sealing/policy.ts';
import { openBody, SEALED_ALG, sealText } from '../../security/sealing/seal.ts';
import { asSealedText, type SealedText } from '../../security/sealing/sealed_text.ts';
import type { HeldKey, WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';
import {
  ENVELOPE_VERSION,
  type EnvelopeHeader,
  isObject,
  parseEnvelope,
  plainCodec,
  type RecordCodec,
  type RecordRef,
} from '../envelope.ts';
import { BoundedMemory } from './bounded_memory.ts';
import type { CallerKeys } from './caller_keys.ts';
import type { SealingEvent, SealingMetrics } from './metrics.ts';

/**
 * `Off`: writes plain, reads both: the first step of a roll-out and the way back, since workers of both kinds take each other's calls over.
 * `Migrating`: writes sealed, reads both. `On`: plain records are refused.
 */
export const SEALING_MODES = ['Off', 'Migrating', 'On'] as const;
export type SealingMode = (typeof SEALING_MODES)[number];

export interface SealingCodecOptions {
  mode: SealingMode;
  keys: CallerKeys;
  blindIndex: BlindIndex;
  clock: Clock;
  metrics: SealingMetrics;
  /** Calls whose key is remembered: above the most calls a worker can have. */
  maxCalls?: number;
}

/** The key of a call: asked for, and there. */
interface Binding {
  key: Promise<HeldKey>;
  held: HeldKey | undefined;
}

/** Header members that only travel: the caller key, wrapped, until the archiver has it in the key store. */
const TRAVELLING = 'wk';

/** Where {@link SealingCodec} puts the nonce; what stands before it holds no quotes. */
const SYNTHETIC_NONCE = /^\{"v":\d+,"alg":"A256GCM","tn":"[^"]*","kid":"[^"]*","n":"([^"]+)"/;

/**
 * {@link RecordCodec} that seals by the policy. A call's key is found when its session is first sealed (by the caller) or opened (the
 * key it was sealed with, so that a takeover seals the same records to the same bytes); after that sealing does no I/O.
 */
export class SealingCodec implements RecordCodec {
  readonly #options: SealingCodecOptions;
  /** By call. */
  readonly #calls: BoundedMemory<Binding>;

  constructor(options: SealingCodecOptions) {
    this.#options = options;
    this.#calls = new BoundedMemory({ clock: options.clock, limit: options.maxCalls ?? 20_000 });
  }

  /** Finds the call's key ahead of its first record. Rejects with ERR_KEYS_UNAVAILABLE; the first record tries again. */
  async prepare(callConnectionId: string, from: string): Promise<void> {
    if (this.#options.mode !== 'Off') await this.#bind(callConnectionId, from);
  }

  seal(ref: RecordRef, body: object): SealedText | Promise<SealedText> {
    if (this.#options.mode === 'Off' || !isSealable(ref.kind)) return plainCodec.seal(ref, body);
    const held = this.#bindingOf(ref)?.held;
    if (held) return this.#seal(held, ref, body);
    return this.#keyToSeal(ref, body).then((key) => this.#seal(key, ref, body));
  }

  tag(text: SealedText): string | undefined {
    return SYNTHETIC_NONCE.exec(text)?.[1];
  }

  /** For what writes to the store that lasts: there the key stands in the key store before a record does, and travels no more. */
  forArchive(): RecordCodec {
    return {
      seal: async (ref, body) => {
        const text = await this.seal(ref, body);
        const { header, body: stored } = parseEnvelope(ref, text);
        const travelling = travellingKey(header);
        if (!travelling) return text;
        if ((await this.#options.keys.settle(travelling)) === 'erased') throw KEYS_UNAVAILABLE.with('erased meanwhile');
        return asSealedText(JSON.stringify({ ...settledHeader(header), body: stored }));
      },
      open: (ref, text) => this.open(ref, text),
    };
  }

  #seal({ key, wrapped }: HeldKey, ref: RecordRef, body: object): SealedText {
    this.#count('sealed');
    return asSealedText(sealText(key, ENVELOPE_VERSION, ref, body, travellingText(wrapped)));
  }

  async open(ref: RecordRef, text: string): Promise<Record<string, unknown>> {
    const { header, body } = parseEnvelope(ref, text);
    return this.openParts(ref, header, body);
  }

  /** As {@link open}, for a record that a store has taken apart. */
  async openParts(
    ref: RecordRef,
    header: EnvelopeHeader,
    body: Record<string, unknown>,
  ): Promise<Record<string, unknown>> {
    if (header.alg === 'none') return this.#plain(ref, body);
    const held = await this.#keyToOpen(ref, header);
    try {
      const opened = openBody(held.key, ref, header, body);
      this.#count('opened');
      if (ref.kind === 'session' && !this.#calls.get(ref.id))
        this.#calls.set(ref.id, { key: Promise.resolve(held), held });
      return opened;
    } catch (error) {
      this.#count('notAuthentic');
      throw error;
    }
  }

  #plain(ref: RecordRef, body: Record<string, unknown>): Record<string, unknown> {
    if (this.#options.mode === 'On' && isSealable(ref.kind) && !isFiguresAlone(ref, body)) {
      this.#count('plainRefused');
      throw RECORD_PLAIN.with(`${ref.kind} ${ref.id}`);
    }
    this.#count('plainRead');
    return body;
  }

  /** Records of a call are named by its id, or by its id and one of their own behind a slash; the call's id may hold slashes too. */
  #bindingOf({ kind, id }: RecordRef): Binding | undefined {
    const whole = this.#calls.get(id);
    if (whole || kind === 'session') return whole;
    return this.#calls.get(id.slice(0, Math.max(0, id.lastIndexOf('/'))));
  }

  async #keyToSeal(ref: RecordRef, body: object): Promise<HeldKey> {
    const known = this.#bindingOf(ref);
    if (known) return known.key;
    const { from, userId } = body as { from?: unknown; userId?: unknown };
    // A profile that updates were merged into is a record of its caller, not of a call.
    if (ref.kind === 'profile' && typeof userId === 'string') return this.#options.keys.forCaller(userId);
    if (ref.kind !== 'session' || typeof from !== 'string') throw SEAL_UNBOUND.with(ref.kind);
    return this.#bind(ref.id, from);
  }

  /** One search for a call, however many ask; a failed one is forgotten, so that the next record tries again. */
  #bind(call: string, from: string): Promise<HeldKey> {
    const known = this.#calls.get(call);
    if (known) return known.key;
    const { keys, blindIndex } = this.#options;
    const binding: Binding = { key: keys.forCaller(blindIndex.of(from) ?? blindIndex.ofCall(call)), held: undefined };
    this.#calls.set(call, binding);
    binding.key = binding.key.then(
      (held) => {
        binding.held = held;
        return held;
      },
      (error: unknown) => {
        this.#calls.delete(call);
        this.#count('keyUnavailable');
        throw error;
      },
    );
    return binding.key;
  }

  async #keyToOpen(ref: RecordRef, header: EnvelopeHeader): Promise<HeldKey> {
    const { kid, tn } = header;
    const tenant = this.#options.keys.tenant;
    if (header.alg !== SEALED_ALG || typeof kid !== 'string' || tn !== tenant) {
      this.#count('notAuthentic');
      throw RECORD_NOT_AUTHENTIC.with(
        `${ref.kind} ${ref.id} (${header.alg !== SEALED_ALG ? 'alg' : tn !== tenant ? 'tenant' : 'key id'})`,
      );
    }
    try {
      return await this.#options.keys.byId(kid, travellingKey(header));
    } catch (error) {
      const events: Record<string, SealingEvent> = {
        [RECORD_KEY_ERASED.code]: 'keyErased',
        [RECORD_NOT_AUTHENTIC.code]: 'notAuthentic',
        [KEYS_UNAVAILABLE.code]: 'keyUnavailable',
      };
      const event = events[errorCode(error)];
      if (event) this.#count(event);
      throw error;
    }
  }

  #count(event: SealingEvent): void {
    this.#options.metrics.record(event);
  }
}

/** The end record of a call that only the archive still knew: it names nobody, and is written by who has no key of the call. */
function isFiguresAlone({ kind }: RecordRef, body: Record<string, unknown>): boolean {
  return kind === 'summary' && plainMembers(kind, body).length === 0;
}

const travellingTexts = new WeakMap<WrappedCallerKey, string>();

/** The header member as JSON: the same for every record of a key. */
function travellingText(wrapped: WrappedCallerKey): string {
  const known = travellingTexts.get(wrapped);
  if (known !== undefined) return known;
  const { tk, w, since } = wrapped;
  const text = `"${TRAVELLING}":${JSON.stringify(since === undefined ? { tk, w } : { tk, w, since })}`;
  travellingTexts.set(wrapped, text);
  return text;
}

/** The caller key that travels in a record's header. */
export function travellingKey(header: EnvelopeHeader): WrappedCallerKey | undefined {
  const { kid, tn, [TRAVELLING]: travelling } = header;
  if (!isObject(travelling) || typeof kid !== 'string' || typeof tn !== 'string') return undefined;
  const { tk, w, since } = travelling;
  if (typeof tk !== 'string' || typeof w !== 'string') return undefined;
  return { kid, tn, tk, w, ...(typeof since === 'string' ? { since } : {}) };
}

/** The header without what only travels. */
export function settledHeader(header: EnvelopeHeader): EnvelopeHeader {
  const { [TRAVELLING]: _travelling, ...rest } = header;
  return { ...rest, v: header.v, alg: header.alg };
}
