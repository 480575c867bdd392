import { type FileHandle, open, unlink } from 'node:fs/promises';

/** One file of the spool. It goes as a whole, once Redis has all that was written into it. */
export class Segment {
  readonly path: string;
  readonly #file: FileHandle;
  #bytes = 0;
  /** Records in here that Redis does not have yet. */
  open = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** 0600: records may hold what a caller said. */
  static async create(path: string): Promise<Segment> {
    return new Segment(path, await open(path, 'ax', 0o600));
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when the bytes are on the disk. A write that failed half-way is cut off again, so that later frames stay readable. */
  async append(bytes: Buffer, options: { sync: boolean }): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#bytes + at);
        at += bytesWritten;
      }
      if (options.sync) await this.#file.datasync();
      this.#bytes += bytes.length;
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw error;
    }
  }

  async remove(): Promise<void> {
    await this.#file.close();
    await unlink(this.path);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
