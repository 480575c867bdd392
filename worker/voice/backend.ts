import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import { EchoBackend } from './echo/backend.ts';
import { createVoiceMetrics } from './metrics.ts';
import { OfflineBackend } from './offline/backend.ts';
import type { VoiceBackend } from './ports.ts';
import type { SpeechCache } from './speech_cache.ts';

/** The backend that the pool's `spec.voice` names. `ready` loads what it needs. */
export function createVoiceBackend(options: {
  backend: 'Offline' | 'Echo';
  dialogueFile: string;
  voiceName: string;
  cache: SpeechCache;
  clock: Clock;
  log: Log;
  registry: Registry;
  workDir: string;
}): VoiceBackend {
  const metrics = createVoiceMetrics(options.registry);
  return options.backend === 'Echo' ? new EchoBackend(metrics) : new OfflineBackend({ ...options, metrics });
}
