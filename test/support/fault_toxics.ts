/** `upstream`: from the client to the server. */
export type Direction = 'upstream' | 'downstream';

export type Toxic =
  /** Each piece arrives this much later, more or less `jitterMs`; order is kept. */
  | { readonly type: 'latency'; readonly stream: Direction; readonly latencyMs: number; readonly jitterMs?: number }
  | { readonly type: 'bandwidth'; readonly stream: Direction; readonly bytesPerSecond: number }
  /** Cuts what passes into pieces of about `sizeBytes`, each in a packet of its own. */
  | { readonly type: 'slicer'; readonly stream: Direction; readonly sizeBytes: number; readonly delayMs?: number }
  /** Half-open: nothing passes any more, not even the end, and no connection closes. Once it is taken away, connections that lost bytes are reset by the next ones. */
  | { readonly type: 'timeout'; readonly stream: Direction; readonly onSwallow?: (bytes: Buffer) => void }
  /** The next piece resets both ends. */
  | { readonly type: 'reset_peer'; readonly stream: Direction }
  /** After so many bytes of a connection both ends are closed. */
  | { readonly type: 'limit_data'; readonly stream: Direction; readonly bytes: number }
  /** The end of the stream is passed on this much later. */
  | { readonly type: 'slow_close'; readonly stream: Direction; readonly delayMs: number }
  /** The first piece that `matches` is dropped and both ends are reset: a request was delivered, its answer never comes. `once` unless told otherwise. */
  | {
      readonly type: 'cutReply';
      readonly stream: Direction;
      readonly matches: (bytes: Buffer) => boolean;
      /** How often; told after each time. */
      readonly times?: number;
      readonly onCut?: () => void;
    };

/** What one piece meets, worked out before anything is done. `undefined` stands for the end of the stream. */
export interface Fate {
  readonly kind: 'pass' | 'swallow' | 'reset' | 'close';
  /** Pieces in the order in which they leave; the last one before `close` may be short. */
  readonly pieces: readonly Buffer[];
  readonly delayMs: number;
  /** Between pieces. */
  readonly gapMs: number;
  readonly bytesPerSecond: number | undefined;
}

/** How often each `cutReply` has cut. */
const cuts = new WeakMap<Toxic, number>();

/** The fate of one piece; `passedBytes`: what the connection has let through before it. */
export function fateOf(bytes: Buffer | undefined, toxics: readonly Toxic[], passedBytes: number): Fate {
  let fate: Fate = {
    kind: 'pass',
    pieces: bytes ? [bytes] : [],
    delayMs: 0,
    gapMs: 0,
    bytesPerSecond: undefined,
  };
  for (const toxic of toxics) {
    fate = apply(toxic, fate, bytes, passedBytes);
    if (fate.kind !== 'pass') return fate;
  }
  return fate;
}

function apply(toxic: Toxic, fate: Fate, bytes: Buffer | undefined, passedBytes: number): Fate {
  switch (toxic.type) {
    case 'latency': {
      const jitterMs = (Math.random() * 2 - 1) * (toxic.jitterMs ?? 0);
      return { ...fate, delayMs: fate.delayMs + Math.max(0, toxic.latencyMs + jitterMs) };
    }
    case 'bandwidth':
      return {
        ...fate,
        bytesPerSecond: Math.min(fate.bytesPerSecond ?? Number.POSITIVE_INFINITY, toxic.bytesPerSecond),
      };
    case 'slicer':
      return {
        ...fate,
        pieces: fate.pieces.flatMap((piece) => sliced(piece, toxic.sizeBytes)),
        gapMs: toxic.delayMs ?? 0,
      };
    case 'timeout':
      if (bytes) toxic.onSwallow?.(bytes);
      return { ...fate, kind: 'swallow', pieces: [] };
    case 'reset_peer':
      return bytes ? { ...fate, kind: 'reset', pieces: [] } : fate;
    case 'limit_data':
      return limited(fate, toxic.bytes - passedBytes);
    case 'slow_close':
      return bytes ? fate : { ...fate, delayMs: fate.delayMs + toxic.delayMs };
    case 'cutReply': {
      const done = cuts.get(toxic) ?? 0;
      if (!bytes || done >= (toxic.times ?? 1) || !toxic.matches(bytes)) return fate;
      cuts.set(toxic, done + 1);
      toxic.onCut?.();
      return { ...fate, kind: 'reset', pieces: [] };
    }
  }
}

function sliced(piece: Buffer, sizeBytes: number): Buffer[] {
  const size = Math.max(1, sizeBytes);
  return Array.from({ length: Math.ceil(piece.length / size) }, (_, index) =>
    piece.subarray(index * size, (index + 1) * size),
  );
}

function limited(fate: Fate, restBytes: number): Fate {
  const whole = Buffer.concat(fate.pieces);
  if (whole.length < restBytes) return fate;
  return { ...fate, kind: 'close', pieces: restBytes > 0 ? [whole.subarray(0, restBytes)] : [] };
}
