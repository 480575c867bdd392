import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';

/** Authorities whose metadata Microsoft publishes. For any other the library would first ask login.microsoftonline.com, and wait for it in vain. */
const PUBLISHED_AUTHORITIES: ReadonlySet<string> = new Set([
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.chinacloudapi.cn',
  'login.partner.microsoftonline.cn',
]);

/** The identity that Entra gives this process: workload identity in a cluster, and whatever else the standard chain finds. */
export function createCredential(authorityHost: string | undefined): TokenCredential {
  const host = authorityHost === undefined ? 'login.microsoftonline.com' : new URL(authorityHost).hostname;
  return new DefaultAzureCredential({ disableInstanceDiscovery: !PUBLISHED_AUTHORITIES.has(host) });
}

/** The scope that the Call Automation client asks for, double slash included. */
const ACS_SCOPE = 'https://communication.azure.com//.default';

/** Fetches the first token before the first caller has to wait for it. A failure is logged and comes again with the first request. */
export function warmCredential(credential: TokenCredential, log: Log): void {
  credential.getToken(ACS_SCOPE).catch((error: unknown) => {
    log.warn({ code: errorCode(error) }, 'no token of Entra ID yet; the first request asks again');
  });
}
