import assert from 'node:assert/strict';
import type { SimulatedCall } from '../../simulators/azure.ts';
import { until } from './calls_worker.ts';
import type { Fleet } from './fleet.ts';

/** A caller who enters `turns` numbered codes by keys, one at a time, each after the answer to the one before; then hangs up. */
export function codes(turns: number, options: { from?: number; pauseMs?: number; hangUp?: boolean } = {}) {
  const { from = 1, pauseMs = 100, hangUp = true } = options;
  const steps = Array.from({ length: turns }, (_, index) => [
    { kind: 'dtmf' as const, tones: `${code(from + index)}#`, toneMs: 40 },
    { kind: 'waitForAnswer' as const },
    { kind: 'pause' as const, ms: pauseMs },
  ]).flat();
  return hangUp ? [...steps, { kind: 'hangUp' as const }] : steps;
}

export function code(n: number): string {
  return String(1000 + n);
}

/** What the caller's side of the archived transcript says. */
export async function archivedCallerTurns(fleet: Fleet, callConnectionId: string): Promise<string[]> {
  return (await archivedTurns(fleet, callConnectionId))
    .filter((turn) => turn.role === 'caller')
    .map((turn) => turn.text);
}

export async function archivedTurns(
  fleet: Fleet,
  callConnectionId: string,
): Promise<{ seq: number; role: string; text: string }[]> {
  const documents = (await fleet.azure.cosmos.documents('rtvoice', 'transcripts')) as Record<string, unknown>[];
  return documents
    .filter((document) => document.callConnectionId === callConnectionId && typeof document.seq === 'number')
    .map((document) => ({ seq: Number(document.seq), role: String(document.role), text: String(document.text) }))
    .sort((a, b) => a.seq - b.seq);
}

export async function summaryOf(fleet: Fleet, callConnectionId: string): Promise<Record<string, unknown> | undefined> {
  const documents = (await fleet.azure.cosmos.documents('rtvoice', 'transcripts')) as Record<string, unknown>[];
  return documents.find((document) => document.callConnectionId === callConnectionId && document.id === 'summary');
}

/** Resolves when the end record of the call stands in Cosmos DB. */
export async function untilArchived(fleet: Fleet, callConnectionId: string, limitMs = 20_000): Promise<void> {
  await until(
    async () => (await summaryOf(fleet, callConnectionId)) !== undefined,
    `call ${callConnectionId} is archived`,
    limitMs,
  );
}

/** The transcript holds every code once and in order, and every one was answered. */
export async function assertWholeTranscript(fleet: Fleet, callConnectionId: string, turns: number): Promise<void> {
  const transcript = await archivedTurns(fleet, callConnectionId);
  assert.deepEqual(
    transcript.map((turn) => turn.seq),
    transcript.map((_, index) => index + 1),
    'no gap in the sequence',
  );
  const spoken = transcript.filter((turn) => turn.role === 'caller').map((turn) => turn.text);
  assert.deepEqual(
    spoken,
    Array.from({ length: turns }, (_, index) => code(index + 1)),
  );
}

/** Resolves once the call has a connection id and its n-th turn has been answered. */
export async function answeredTurns(call: SimulatedCall, n: number, limitMs = 30_000): Promise<string> {
  await until(() => call.callConnectionId !== undefined && call.answeredTurns >= n, `turn ${n} is answered`, limitMs);
  return call.callConnectionId ?? '';
}
