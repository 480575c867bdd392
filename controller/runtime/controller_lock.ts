import { linkSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { defineError } from '../../platform/errors.ts';
import { identify, isRunning, type ProcessIdentity } from '../../platform/processes.ts';
import { readJson, writeDurably } from './durable_file.ts';

export const CONTROLLER_RUNNING = defineError('ERR_CONTROLLER_RUNNING', {
  status: 409,
  message: 'another controller has this state folder',
  remedy: 'Stop that process, or give this one another folder with RTVOICE_STATE_DIR.',
});

export interface ControllerNote extends ProcessIdentity {
  /** Port of the controller's HTTP API; 0 until it listens. */
  readonly port: number;
}

const TAKE_ATTEMPTS = 5;

/** One controller per state folder: held by a live process, free as soon as that process is gone, however it ended. */
export class ControllerLock {
  readonly #path: string;
  readonly #self: ProcessIdentity;

  private constructor(path: string, self: ProcessIdentity) {
    this.#path = path;
    this.#self = self;
  }

  static take(path: string): ControllerLock {
    const self = identify(process.pid);
    if (!self) throw CONTROLLER_RUNNING.with('this process cannot read its own entry in /proc');
    const candidate = `${path}.${self.pid}.${self.startTicks}`;
    writeDurably(candidate, JSON.stringify({ ...self, port: 0 } satisfies ControllerNote));
    try {
      for (let attempt = 0; attempt < TAKE_ATTEMPTS; attempt++) {
        if (linkOnce(candidate, path)) return new ControllerLock(path, self);
        const holder = readJson<ControllerNote>(path);
        if (holder && isRunning(holder)) throw CONTROLLER_RUNNING.with(`pid ${holder.pid}`);
        removeIfStill(path, holder);
      }
    } finally {
      unlinkSync(candidate);
    }
    throw CONTROLLER_RUNNING.with('the lock changed hands too often');
  }

  publish(port: number): void {
    writeDurably(this.#path, JSON.stringify({ ...this.#self, port } satisfies ControllerNote));
  }

  release(): void {
    const holder = readJson<ControllerNote>(this.#path);
    if (holder?.pid === this.#self.pid && holder.startTicks === this.#self.startTicks)
      rmSync(this.#path, { force: true });
  }
}

/** A hard link is made or refused in one step, with its content already there. */
function linkOnce(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes a dead holder's note away. Renaming is one step, so of two starters one moves the note that both saw; a note that turns out to be a live one's goes back. */
function removeIfStill(path: string, seen: ControllerNote | undefined): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readJson<ControllerNote>(aside);
  if (moved?.pid !== seen?.pid || moved?.startTicks !== seen?.startTicks) linkOnce(aside, path);
  unlinkSync(aside);
}
