/** What a caller who waits for an answer knows; milliseconds. */
export interface Waiting {
  waitedMs: number;
  /** An answer began since the caller spoke, and no socket was lost after that. */
  heard: boolean;
  /** An answer was going on when the caller had spoken, and nobody stopped it. */
  spokenInto: boolean;
  /** Since the last sample was played. */
  silentMs: number;
  /** The media socket was missing or lost at some time since the caller began to speak. */
  lost: boolean;
  /** Since the media socket is open; undefined while it is not. */
  openMs: number | undefined;
  /** Since the caller spoke. */
  spokenMs: number;
  repeated: number;
}

export interface Patience {
  timeoutMs: number;
  silenceMs: number;
  repeatAfterMs: number;
  repeats: number;
}

export const DEFAULT_PATIENCE: Patience = { timeoutMs: 30_000, silenceMs: 300, repeatAfterMs: 3_000, repeats: 3 };
/** An answer that the caller spoke into and that nobody stopped counts as the answer when nothing follows it for so long. */
const SPOKEN_INTO_MS = 2_000;

export type Verdict =
  | 'wait'
  /** An answer has begun and ended. */
  | 'answered'
  /** What was said may be lost: say it again. */
  | 'repeat'
  | 'timedOut';

export function judge(now: Waiting, patience: Patience): Verdict {
  if (now.heard && now.silentMs >= patience.silenceMs) return 'answered';
  if (now.spokenInto && !now.heard && now.silentMs >= SPOKEN_INTO_MS) return 'answered';
  if (now.waitedMs >= patience.timeoutMs) return 'timedOut';
  if (!now.lost || now.heard || now.openMs === undefined || now.repeated >= patience.repeats) return 'wait';
  return Math.min(now.openMs, now.silentMs, now.spokenMs) >= patience.repeatAfterMs ? 'repeat' : 'wait';
}
