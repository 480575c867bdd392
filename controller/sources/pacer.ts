/**
 * Lets so many readings run at once; the others wait in the order they came. A thousand pools that fall due in the same instant must not put a
 * thousand commands on one connection: the last would run into its time limit, and Redis would be taken for away.
 * The queue is as long as there are readers, since each waits for its own reading to end.
 */
export class Pacer {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  get running(): number {
    return this.#running;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      // The place is handed on as it is: whoever comes meanwhile does not overtake.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
