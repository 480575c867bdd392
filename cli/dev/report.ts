/** The one JSON object that `rtvoice dev --calls N --exit --json` prints. */
export interface DevReport {
  ok: boolean;
  calls: CallReport[];
  workers: { id: string; calls: number }[];
  /** `keyFaults`: all that the key audit found, keys without a time to live among it. */
  redis: { keysWithoutTtl: number; keyFaults: number };
  /** Records in Redis and Cosmos DB, and how many of them have members in clear that must be sealed. */
  sealing: { records: number; inClear: number };
  /** From the start of the command to the first simulated call answered. */
  startedMs: number;
}

export interface TurnReport {
  /** What the caller's script said. */
  spoken: string;
  /** What was recognised, from the archived transcript. */
  heard: string;
  answered: string;
  /** End of the caller's speech to the first audio frame of the answer, measured at the caller. */
  responseMs: number | undefined;
}

export interface CallReport {
  callConnectionId: string;
  worker: string;
  turns: TurnReport[];
  disconnected: 'caller' | 'worker';
  archived: boolean;
}

/** One line of an archived transcript. */
export interface TranscriptLine {
  seq: number;
  role: 'caller' | 'assistant' | 'system';
  text: string;
}

/** Joins what the caller's script said with the archived transcript: the n-th caller line answers to the n-th spoken step. */
export function joinTurns(
  spoken: readonly { text: string; responseMs: number | undefined }[],
  transcript: readonly TranscriptLine[],
): TurnReport[] {
  const lines = [...transcript].sort((a, b) => a.seq - b.seq);
  const heard = lines.flatMap((line, index) => (line.role === 'caller' ? [{ text: line.text, index }] : []));
  return spoken.map(({ text, responseMs }, n) => {
    const at = heard[n];
    const until = heard[n + 1]?.index ?? lines.length;
    const answers =
      at === undefined ? [] : lines.slice(at.index + 1, until).filter((line) => line.role === 'assistant');
    return { spoken: text, heard: at?.text ?? '', answered: answers.map((line) => line.text).join(' '), responseMs };
  });
}

export function normalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9#* ]+/g, ' ')
    .trim()
    .replace(/\s+/g, ' ');
}

/** Understood: every word that was spoken was heard, and each turn was answered. */
export function understood(call: Pick<CallReport, 'turns'>): boolean {
  return (
    call.turns.length > 0 &&
    call.turns.every((turn) => normalise(turn.heard) === normalise(turn.spoken) && turn.answered !== '')
  );
}

export function isOk(report: Omit<DevReport, 'ok'>, wantedCalls: number): boolean {
  return (
    report.calls.length === wantedCalls &&
    report.calls.every((call) => call.worker !== '' && call.archived && understood(call)) &&
    report.redis.keyFaults === 0 &&
    report.sealing.inClear === 0
  );
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
