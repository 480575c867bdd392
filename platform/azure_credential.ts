import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';

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
