/** One entry of the error catalogue. Codes are part of the public interface: documented, stable, never used again. */
export interface ErrorKind {
  readonly code: `ERR_${string}`;
  /** HTTP status when the error answers a request. */
  readonly status: number;
  readonly message: string;
  /** What the reader can do about it. */
  readonly remedy: string;
  /** An error of this kind; `detail` names the field, key or peer at fault and must hold no personal data. */
  with(detail?: string, cause?: unknown): RtvoiceError;
}

export class RtvoiceError extends Error {
  readonly code: string;
  readonly status: number;
  readonly remedy: string;
  readonly detail: string | undefined;

  constructor(kind: ErrorKind, detail?: string, cause?: unknown) {
    super(detail ? `${kind.message}: ${detail}` : kind.message, cause === undefined ? undefined : { cause });
    this.name = 'RtvoiceError';
    this.code = kind.code;
    this.status = kind.status;
    this.remedy = kind.remedy;
    this.detail = detail;
  }

  /** The shape that HTTP answers and `--json` output carry. */
  toJSON(): { code: string; message: string; remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy };
  }
}

const catalogue = new Map<string, ErrorKind>();

/** Adds a kind to the catalogue; each part of the product defines its own beside the code that throws them. */
export function defineError(
  code: ErrorKind['code'],
  fields: { status: number; message: string; remedy: string },
): ErrorKind {
  if (catalogue.has(code)) throw new Error(`error code ${code} is defined twice`);
  const kind: ErrorKind = { code, ...fields, with: (detail, cause) => new RtvoiceError(kind, detail, cause) };
  catalogue.set(code, kind);
  return kind;
}

/** Every kind that the loaded modules have defined, by code. */
export function errorCatalogue(): readonly ErrorKind[] {
  return [...catalogue.values()].sort((a, b) => a.code.localeCompare(b.code));
}

/** The error's code when it is ours or Node's, for metrics and logs. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'UNKNOWN';
}
