import { parseArgs } from 'node:util';
import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { defineError, errorCode } from '../platform/errors.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { endpointOf } from '../state/messaging/endpoint.ts';
import { LiveFeed, openPubSub } from '../state/messaging/live_feed.ts';
import { FEED_GROUP, MESSAGING_SETTINGS } from '../state/messaging/settings.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { tokenCredential } from './token_credential.ts';

export const NO_FEED = defineError('ERR_FEED_NOT_NAMED', {
  status: 400,
  message: 'no Web PubSub is named',
  remedy: 'Set RTVOICE_PUBSUB_ENDPOINT, or RTVOICE_PUBSUB_CONNECTION_STRING, as the workers have it.',
});
export const FEED_REFUSED = defineError('ERR_FEED_REFUSED', {
  status: 502,
  message: 'Web PubSub gives no token',
  remedy: 'Look at the endpoint, and at the role Web PubSub Service Owner of this identity.',
});

const OPTIONS = {
  user: { type: 'string' },
  minutes: { type: 'string', default: '60' },
} as const;
const USAGE = 'usage: rtvoice feed token --user NAME [--minutes N]\n';
const MINUTES_MAX = 24 * 60;

/** `feed token`: `{url, token}` as JSON, with which a supervisor's browser listens to the live feed and can do nothing else. */
export async function feed(
  args: readonly string[],
  io: Io,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const minutes = Number(values.minutes);
  const inRange = Number.isInteger(minutes) && minutes >= 1 && minutes <= MINUTES_MAX;
  if (positionals.join(' ') !== 'token' || !values.user || !inRange) {
    io.err(`rtvoice: feed needs token, --user, and --minutes from 1 to ${MINUTES_MAX}\n${USAGE}`);
    return EXIT.error;
  }
  const config = loadConfig(MESSAGING_SETTINGS, env);
  const named = { address: config.pubSubEndpoint, connectionString: config.pubSubConnectionString };
  if (named.address === undefined && named.connectionString === undefined) throw NO_FEED.with();
  const endpoint = endpointOf('Web PubSub', named, await tokenCredential());
  if (!endpoint) throw NO_FEED.with();
  const live = new LiveFeed({
    ...{ client: openPubSub(endpoint, config.pubSubHub), group: FEED_GROUP, includeText: false },
    ...{ clock: systemClock, log: silentLog, registry: createRegistry({ processMetrics: false }) },
  });
  try {
    io.out(`${JSON.stringify(await live.viewer(values.user, minutes))}\n`);
  } catch (cause) {
    throw FEED_REFUSED.with(errorCode(cause), cause);
  }
  return EXIT.ok;
}
