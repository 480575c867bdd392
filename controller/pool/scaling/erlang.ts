/**
 * Erlang B: the chance that a call finds all `slots` busy when `offered` calls (in Erlang) come at random and none waits.
 * Recursion B(0) = 1, B(n) = A B(n-1) / (n + A B(n-1)); stable for any size (ITU-T E.501, Jagerman 1974).
 */
export function blockingProbability(slots: number, offered: number): number {
  if (offered <= 0) return 0;
  let blocking = 1;
  for (let n = 1; n <= slots; n++) blocking = (offered * blocking) / (n + offered * blocking);
  return blocking;
}

/** Fewest slots for which the chance of refusing a call is at most `target` (0 < target <= 1); 0 when nothing is offered. */
export function slotsForBlocking(offered: number, target: number): number {
  if (offered <= 0) return 0;
  let blocking = 1;
  let slots = 0;
  while (blocking > target) {
    slots++;
    blocking = (offered * blocking) / (slots + offered * blocking);
  }
  return slots;
}
