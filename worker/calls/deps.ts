import type { PoolRef } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import type { CallEndReason } from '../../contract/reasons.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { AcsCalls } from '../acs/client.ts';
import type { CallFeeds } from '../feeds.ts';
import type { MediaListener, MediaStream } from '../media/ports.ts';
import type { VoiceBackend } from '../voice/ports.ts';
import type { Call } from './call.ts';
import type { CallMetrics } from './metrics.ts';
import type { CallRecord } from './record.ts';

/** What a call needs of the worker around it. */
export interface CallDeps {
  readonly pool: PoolRef;
  readonly worker: string;
  readonly incarnation: string;
  readonly spec: PoolSpec;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly acs: AcsCalls;
  readonly backend: VoiceBackend;
  readonly metrics: CallMetrics;
  readonly feeds: CallFeeds;
  /** How long CallDisconnected is waited for after a hang-up of ours. */
  readonly disconnectGraceMs: number;
  createMedia(listener: MediaListener): MediaStream;
  openRecord(call: Call): CallRecord;
  /** Public URLs of a call, with its signed token. */
  urls(callRef: string): { callbackUrl: string; transportUrl: string };
  onConnectionId(call: Call, callConnectionId: string): void;
  onEnded(call: Call, reason: CallEndReason): void;
  onSuperseded(call: Call): void;
}
