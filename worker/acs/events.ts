import type { Fact } from '../calls/facts.ts';
import type { CallEvent } from '../ports.ts';

const PREFIX = 'Microsoft.Communication.';

/** Events that tell a fact about the call. All others are known to ACS but change nothing here; they are counted as `ignored`. */
const FACTS: Readonly<Record<string, Fact>> = {
  CallConnected: { kind: 'connected' },
  CallDisconnected: { kind: 'disconnected' },
  AnswerFailed: { kind: 'answerRefused' },
  CallTransferAccepted: { kind: 'transferAccepted' },
  CallTransferFailed: { kind: 'transferFailed' },
};

/** Events after which ACS no longer sends media by itself. */
export const MEDIA_TROUBLE: ReadonlySet<string> = new Set(['MediaStreamingFailed', 'MediaStreamingStopped']);

export function factOf(event: CallEvent): Fact | undefined {
  return FACTS[event.type];
}

/** One element of a CloudEvents array, or why it is none. */
export function parseCallEvent(value: unknown): CallEvent | { malformed: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { malformed: 'not an object' };
  const { id, source, type, time, data } = value as Record<string, unknown>;
  if (typeof id !== 'string' || id === '' || id.length > 256) return { malformed: 'id' };
  if (typeof source !== 'string' || source.length > 512) return { malformed: 'source' };
  if (typeof type !== 'string' || !type.startsWith(PREFIX)) return { malformed: 'type' };
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return { malformed: 'data' };
  const timeMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return {
    id,
    source,
    type: type.slice(PREFIX.length),
    timeMs: Number.isNaN(timeMs) ? undefined : timeMs,
    data: data as Record<string, unknown>,
  };
}

export function connectionIdOf(event: CallEvent): string | undefined {
  const id = event.data.callConnectionId;
  return typeof id === 'string' && id !== '' && id.length <= 256 ? id : undefined;
}
