import type { Io } from '../io.ts';
import { type Picture, paint } from './picture.ts';

const NOTES = 4;
const DEFAULT_COLUMNS = 100;
const DEFAULT_ROWS = 30;

/** Repaints the picture in place on a terminal. Where there is none (a pipe, a log), only the notes are written, line by line. */
export class Screen {
  readonly #io: Io;
  readonly #terminal = process.stdout.isTTY === true;
  readonly #notes: string[] = [];

  constructor(io: Io) {
    this.#io = io;
    if (this.#terminal) io.out('\x1b[?25l\x1b[2J');
  }

  readonly note = (line: string): void => {
    if (!this.#terminal) {
      this.#io.out(`${line}\n`);
      return;
    }
    this.#notes.push(line);
    if (this.#notes.length > NOTES) this.#notes.shift();
  };

  show(picture: Picture): void {
    if (!this.#terminal) return;
    const columns = process.stdout.columns ?? DEFAULT_COLUMNS;
    const rows = (process.stdout.rows ?? DEFAULT_ROWS) - NOTES - 1;
    const lines = paint(picture, { columns, rows, colour: this.#io.colour });
    const notes = this.#notes.map((note) => note.slice(0, columns));
    const blank = Array.from({ length: Math.max(0, rows - lines.length) }, () => '');
    this.#io.out(`\x1b[H${[...lines, ...blank, ...notes].map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`);
  }

  /** Leaves the terminal as it was found. */
  end(): void {
    if (this.#terminal) this.#io.out('\x1b[?25h\n');
  }
}
