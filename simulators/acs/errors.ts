/** A refusal as Call Automation answers it: `{"error":{"code","message"}}`. */
export class AcsError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** Codes: azure-docs, Call Automation SDK error codes. The body for an overdue answer is not documented: 8522 is the closest. */
export const notFound = () => new AcsError(404, '8522', 'Call not found.');
export const alreadyAnswered = () => new AcsError(409, '8519', 'The incoming call was answered by another request.');
export const notEstablished = () =>
  new AcsError(400, '8501', 'Action is invalid when the call is not in Established state.');
export const notStreaming = () =>
  new AcsError(400, '8583', 'Media streaming is not compatible with how the call was answered.');
export const badRequest = (message: string) => new AcsError(400, 'BadRequest', message);
export const notCovered = (what: string) => new AcsError(501, 'NotCovered', `This simulator does not cover ${what}.`);
