/** What this machine lacks, in one line: tests that need it are skipped, where a fault of ours would fail the run. */
export class Obstacle extends Error {
  override readonly name = 'Obstacle';
}
