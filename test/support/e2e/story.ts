import { after, before, describe, it, type TestContext } from 'node:test';
import { openCluster } from './access.ts';
import { assertServed, assertUncut, type ClusterCall, lostTurns } from './calls.ts';
import { ClusterFleet, NoMachines, unique } from './fleet.ts';

export interface Story {
  readonly fleet: ClusterFleet;
  /** A namespace of this story's own. */
  readonly ns: string;
}

type Body = (story: Story) => Promise<void>;

/**
 * The stories of one file on one cluster. Each has a namespace of its own; what it changed of the cluster it puts back. A story that fails says how
 * the cluster stood. `atOnce`: more than one only where none of them touches what the others stand on.
 */
export function stories(title: string, list: Readonly<Record<string, Body>>, { atOnce = 1 } = {}): void {
  let fleet: ClusterFleet | undefined;
  before(async () => {
    fleet = await ClusterFleet.start(await openCluster());
  });
  after(() => fleet?.[Symbol.asyncDispose]());
  describe(title, { concurrency: atOnce }, () => {
    for (const [name, body] of Object.entries(list)) it(name, (context) => tell(context, fleet, body));
  });
}

async function tell(context: TestContext, fleet: ClusterFleet | undefined, body: Body): Promise<void> {
  if (!fleet) throw new Error('there is no cluster');
  const ns = unique('story');
  try {
    await body({ fleet, ns });
  } catch (error) {
    if (error instanceof NoMachines) return context.skip(error.message);
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${await fleet.describe(ns)}`, {
      cause: error,
    });
  } finally {
    // Its workers must not be in the way of the next story.
    await fleet.kubectl.attempt(['delete', 'vwp', '--all', '-n', ns, '--wait=false']);
  }
}

/** Every caller hung up by itself on the one media socket it began with, and every transcript is whole. */
export async function assertNoneCut(fleet: ClusterFleet, calls: readonly ClusterCall[]): Promise<void> {
  for (const call of calls) assertUncut(await call.ended(), call.plan);
  for (const call of calls) await fleet.assertArchived(call);
}

/** Every caller was served to its end, though some had to be taken over, and every transcript is whole. */
export async function assertAllServed(fleet: ClusterFleet, calls: readonly ClusterCall[]): Promise<void> {
  for (const call of calls) assertServed(await call.ended(), call.plan);
  for (const call of calls) await fleet.assertArchived(call, lostTurns(await call.ended()));
}
