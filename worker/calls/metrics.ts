import { CALL_LENGTH_SECONDS } from '../../contract/records.ts';
import { Counter, Histogram, type Registry } from '../../platform/metrics.ts';
import { CallTally } from './tally.ts';

export type CallMetrics = ReturnType<typeof createCallMetrics>;

export function createCallMetrics(registry: Registry) {
  const registers = [registry];
  const tally = new CallTally();
  const metrics = callSeries(registers);
  return {
    ...metrics,
    tally,
    countSetup(result: 'ok' | 'failed' | 'refused'): void {
      metrics.setups.inc({ result });
      // A refusal is a matter of capacity, not of how well this revision serves.
      if (result !== 'refused') tally.countSetup(result === 'ok');
    },
    timeResponse(seconds: number): void {
      metrics.responseSeconds.observe(seconds);
      tally.addResponse(seconds);
    },
    timeCall(seconds: number): void {
      metrics.durationSeconds.observe(seconds);
      tally.addCall(seconds);
    },
  };
}

function callSeries(registers: Registry[]) {
  return {
    setups: new Counter({
      name: 'rtvoice_call_setups_total',
      help: 'Rings by result: ok, failed (ours or ACS), refused (no free slot).',
      labelNames: ['result'],
      registers,
    }),
    setupSeconds: new Histogram({
      name: 'rtvoice_call_setup_duration_seconds',
      help: 'From the ring at this worker to the first media frame out.',
      buckets: [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5],
      registers,
    }),
    ended: new Counter({
      name: 'rtvoice_calls_ended_total',
      help: 'Calls by end reason.',
      labelNames: ['reason'],
      registers,
    }),
    durationSeconds: new Histogram({
      name: 'rtvoice_call_duration_seconds',
      help: 'Length of calls.',
      buckets: [...CALL_LENGTH_SECONDS],
      registers,
    }),
    events: new Counter({
      name: 'rtvoice_acs_events_total',
      help: 'Call Automation events by type and what became of them.',
      labelNames: ['type', 'result'],
      registers,
    }),
    takeovers: new Counter({
      name: 'rtvoice_takeovers_total',
      help: 'Calls taken over from another worker, by cause and result.',
      labelNames: ['cause', 'result'],
      registers,
    }),
    responseSeconds: new Histogram({
      name: 'rtvoice_response_duration_seconds',
      help: 'From the end of the caller turn, as detected, to the first audio frame of the answer.',
      buckets: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 5],
      registers,
    }),
    bargeIns: new Counter({ name: 'rtvoice_barge_ins_total', help: 'Answers that the caller spoke over.', registers }),
    voiceErrors: new Counter({
      name: 'rtvoice_voice_errors_total',
      help: 'Errors that a voice backend told.',
      labelNames: ['code'],
      registers,
    }),
    handOffs: new Counter({
      name: 'rtvoice_hand_offs_total',
      help: 'Hand-offs of placed rings by result.',
      labelNames: ['result'],
      registers,
    }),
  };
}
