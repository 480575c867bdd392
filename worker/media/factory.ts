import type { Process } from '../process.ts';
import { MediaMetrics } from './metrics.ts';
import { Pacer } from './pacer.ts';
import type { MediaListener, MediaStream } from './ports.ts';
import { mediaSettings } from './settings.ts';
import { createMediaStream } from './stream.ts';

/** Makes the media streams of one process: all share its pacer and metrics. */
export function createMediaFactory(options: {
  process: Process;
  sampleRateHertz: 16000 | 24000;
  turnTaking: 'worker' | 'backend';
}): (listener: MediaListener) => MediaStream {
  const { clock, log, registry } = options.process;
  const metrics = new MediaMetrics(registry);
  const pacer = new Pacer({ clock, metrics, log });
  const settings = mediaSettings({
    sampleRateHertz: options.sampleRateHertz,
    turnDetection: options.turnTaking === 'worker' ? 'worker' : 'off',
  });
  return (listener) => createMediaStream({ listener, pacer, settings, metrics, clock });
}
