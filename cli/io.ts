/** Where a command writes. Standard output carries the result alone; everything else goes to standard error. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly colour: boolean;
}

export const processIo: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  colour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
};

/** Exit codes of every command; part of the public interface. */
export const EXIT = {
  /** Done, and all is well. */
  ok: 0,
  /** Done, but something is not as it should be; the output says what. */
  degraded: 1,
  /** Not done: bad input, or a part that cannot be reached. */
  error: 2,
  /** Not done, because it would do harm; the output says how to insist. */
  refused: 3,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
