import type { Timer } from '../../platform/clock.ts';
import { ManualClock } from '../../platform/manual_clock.ts';

/** A clock on which waiting takes no time: it jumps to the end of each wait. For code that waits for one thing at a time. */
export class JumpClock extends ManualClock {
  override after(delayMs: number, callback: () => void): Timer {
    const timer = super.after(delayMs, callback);
    setImmediate(() => this.advance(delayMs));
    return timer;
  }
}
