import type { TokenCredential } from '@azure/identity';
import { defineError } from '../../platform/errors.ts';

export const MESSAGING_SETTINGS_INVALID = defineError('ERR_MESSAGING_SETTINGS_INVALID', {
  status: 500,
  message: 'the settings of managed messaging do not fit together',
  remedy: 'Name a namespace (or endpoint) or a connection string for the named service; docs/messaging.md shows both.',
});

/** How a messaging service is reached. */
export type MessagingEndpoint =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  /** Entra: workload identity, managed identity. `address` is a namespace or, for Web PubSub, a URL. */
  | { readonly kind: 'entra'; readonly address: string; readonly credential: TokenCredential };

const LOOPBACK = /^Endpoint=[a-z]+:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/;]/i;

/** Undefined when the service is not configured. Throws ERR_MESSAGING_SETTINGS_INVALID for a wire without TLS beyond this machine. */
export function endpointOf(
  service: string,
  settings: { address: string | undefined; connectionString: string | undefined },
  credential: TokenCredential,
): MessagingEndpoint | undefined {
  const { address, connectionString } = settings;
  if (connectionString !== undefined) {
    // The switch of the emulator turns TLS off: records would cross a network in clear.
    if (/UseDevelopmentEmulator=true/i.test(connectionString) && !LOOPBACK.test(connectionString))
      throw MESSAGING_SETTINGS_INVALID.with(`${service}: UseDevelopmentEmulator needs a loopback address`);
    return { kind: 'connectionString', connectionString };
  }
  return address === undefined ? undefined : { kind: 'entra', address, credential };
}

/** As {@link endpointOf}, for a service that must be there. */
export function requiredEndpoint(
  service: string,
  settings: { address: string | undefined; connectionString: string | undefined },
  credential: TokenCredential,
): MessagingEndpoint {
  const endpoint = endpointOf(service, settings, credential);
  if (!endpoint) throw MESSAGING_SETTINGS_INVALID.with(`${service} is not configured`);
  return endpoint;
}
