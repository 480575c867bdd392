import assert from 'node:assert/strict';
import type { AzureControl, CallProgress, CallRecord, ScriptStep } from '../../../simulators/client.ts';
import { code, codes } from '../story.ts';

export interface CallPlan {
  readonly ringUrl: string;
  /** Numbered codes that the caller enters, one after the other. */
  readonly turns: number;
  /** Between the answer to one and the next. */
  readonly pauseMs: number;
}

/** One simulated caller in the cluster, followed from here; the call itself goes on whether anybody follows or not. */
export class ClusterCall {
  readonly plan: CallPlan;
  readonly id: string;
  readonly #azure: () => AzureControl;

  private constructor(plan: CallPlan, id: string, azure: () => AzureControl) {
    this.plan = plan;
    this.id = id;
    this.#azure = azure;
  }

  static async place(azure: () => AzureControl, plan: CallPlan): Promise<ClusterCall> {
    const script: ScriptStep[] = codes(plan.turns, { pauseMs: plan.pauseMs });
    return new ClusterCall(plan, await azure().placeCall({ ringUrl: plan.ringUrl, script }), azure);
  }

  record(): Promise<CallRecord> {
    return this.#azure().call(this.id);
  }

  /** Turns that were answered until now. */
  async answered(): Promise<number> {
    return (await this.record()).turns.filter((turn) => turn.answered).length;
  }

  /** The record once the caller has hung up; follows the call's own events, and goes on after a loss of the connection to it. */
  async ended(): Promise<CallRecord> {
    for (;;) {
      try {
        for await (const event of this.#azure().events(this.id)) if (event.type === 'ended') return event.record;
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
      }
      const record = await this.record().catch(() => undefined);
      if (record?.disconnectedBy !== undefined) return record;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async documents(): Promise<Record<string, unknown>[]> {
    const { callConnectionId } = await this.record();
    return callConnectionId === undefined ? [] : this.#azure().transcript(callConnectionId);
  }
}

export type { CallProgress };

/** Nobody but the caller ended it, it kept its one media socket from beginning to end, and every turn was answered. */
export function assertUncut(record: CallRecord, plan: CallPlan): void {
  assert.equal(record.outcome, 'answered', describe(record));
  assert.equal(record.disconnectedBy, 'caller', describe(record));
  assert.equal(record.mediaConnects, 1, `the media socket was lost: ${describe(record)}`);
  assertAnswered(record, plan);
}

/** The caller was served to the end, on one socket or several; with each lost one the turn that was in progress may be lost as well. */
export function assertServed(record: CallRecord, plan: CallPlan): void {
  assert.equal(record.outcome, 'answered', describe(record));
  assert.equal(record.disconnectedBy, 'caller', describe(record));
  assertAnswered(record, plan, lostTurns(record));
}

/** Turns that may have been in progress when their worker died. */
export function lostTurns({ mediaConnects }: CallRecord): number {
  return Math.max(0, mediaConnects - 1);
}

function assertAnswered(record: CallRecord, plan: CallPlan, lost = 0): void {
  assert.equal(record.turns.length, plan.turns, describe(record));
  const silent = record.turns.filter((turn) => !turn.answered);
  assert.ok(silent.length <= lost, `turns without an answer: ${describe(record)}`);
  assert.equal(record.framesAfterStop, 0);
  assert.equal(record.malformedMessages, 0);
}

/** The archive holds every code once and in order, without a gap in the sequence, and the end of the call. Of a lost turn the rest or nothing. */
export function assertTranscript(documents: readonly Record<string, unknown>[], plan: CallPlan, lost = 0): void {
  const turns = documents
    .filter((document) => typeof document.seq === 'number')
    .map((document) => ({ seq: Number(document.seq), role: String(document.role), text: String(document.text) }))
    .sort((a, b) => a.seq - b.seq);
  assert.deepEqual(
    turns.map(({ seq }) => seq),
    turns.map((_, index) => index + 1),
    'no gap in the sequence',
  );
  const said = turns.filter(({ role }) => role === 'caller').map(({ text }) => text);
  const codes = Array.from({ length: plan.turns }, (_, index) => code(index + 1));
  const whole = said.filter((text) => codes.includes(text));
  const missing = codes.filter((text) => !said.includes(text));
  if (missing.length > lost) assert.deepEqual(said, codes);
  assert.deepEqual(
    whole,
    codes.filter((text) => !missing.includes(text)),
    'each once and in order',
  );
  const rests = said.filter((text) => !codes.includes(text));
  assert.ok(
    rests.length <= missing.length && rests.every((rest) => missing.some((text) => text.endsWith(rest))),
    `nothing was heard that was not said: ${rests.join(', ')}`,
  );
  assert.ok(hasSummary(documents), 'the end of the call is archived');
}

export function hasSummary(documents: readonly Record<string, unknown>[]): boolean {
  return documents.some(({ id }) => id === 'summary');
}

function isConnectionLoss(error: unknown): boolean {
  const { code: own, cause } = error as { code?: string; cause?: unknown };
  return own === 'ERR_SIMULATOR_CONTROL' || error instanceof TypeError || cause instanceof Error;
}

function describe(record: CallRecord): string {
  const { id, outcome, ringAttempts, mediaConnects, mediaCloseCodes, disconnectedBy, turns, callbacks } = record;
  const failed = callbacks.filter(({ statuses }) => statuses.at(-1) !== 200);
  const answered = turns.filter((turn) => turn.answered).length;
  return JSON.stringify({
    ...{ id, outcome, disconnectedBy, mediaConnects, mediaCloseCodes, answered, of: turns.length },
    ...{ ringAttempts, failed },
  });
}
