import { Counter, Gauge, Histogram, type Registry } from '../../platform/metrics.ts';

const LATENCY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10];

export type VoiceMetrics = ReturnType<typeof createVoiceMetrics>;

export function createVoiceMetrics(registry: Registry) {
  const registers = [registry];
  return {
    utterances: new Counter({
      name: 'rtvoice_utterances_total',
      help: 'Utterances of callers: text, empty (nothing recognised), refused (queue full, or no thread in time), failed, cancelled, ignored (echo backend).',
      labelNames: ['result'],
      registers,
    }),
    recognitionSeconds: new Histogram({
      name: 'rtvoice_recognition_duration_seconds',
      help: 'From the end of an utterance to its text.',
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    recognitionWaiting: new Gauge({
      name: 'rtvoice_recognition_waiting',
      help: 'Utterances that wait for a recogniser.',
      registers,
    }),
    synthesisSeconds: new Histogram({
      name: 'rtvoice_synthesis_duration_seconds',
      help: 'From asking for a sentence to its audio, cached ones included.',
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    firstAudioSeconds: new Histogram({
      name: 'rtvoice_first_audio_duration_seconds',
      help: 'From the end of a caller turn to the first audio of its answer.',
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    threadRestarts: new Counter({
      name: 'rtvoice_voice_thread_restarts_total',
      help: 'Speech threads that ended and were started again.',
      labelNames: ['thread'],
      registers,
    }),
    dialogueSteps: new Counter({
      name: 'rtvoice_dialogue_steps_total',
      help: 'Steps of the dialogue by the rule that answered.',
      labelNames: ['outcome'],
      registers,
    }),
  };
}
