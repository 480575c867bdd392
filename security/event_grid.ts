import { createSharedKeys } from './shared_keys.ts';

/** The header that the Event Grid subscription sends as a secret delivery property. */
export const EVENT_GRID_KEY_HEADER = 'x-rtvoice-key';

export interface EventGridAuth {
  /** The shared secret of a delivery. */
  acceptsKey(presented: string | undefined): boolean;
  /** An event's topic (`topic`, in the CloudEvents schema `source`) is the one we subscribed to. Azure writes resource ids in varying case. */
  acceptsTopic(topic: unknown): boolean;
}

export function createEventGridAuth(options: { keys: readonly string[]; topic: string }): EventGridAuth {
  const keys = createSharedKeys(options.keys);
  const expected = options.topic.toLowerCase();
  return {
    acceptsKey: (presented) => keys.accepts(presented),
    acceptsTopic: (topic) => typeof topic === 'string' && topic.length <= 1024 && topic.toLowerCase() === expected,
  };
}
