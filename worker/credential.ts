import type { TokenCredential } from '@azure/identity';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';

/** The scope that the Call Automation client asks for, double slash included. */
const ACS_SCOPE = 'https://communication.azure.com//.default';

/** Fetches the first token before the first caller has to wait for it. A failure is logged and comes again with the first request. */
export function warmCredential(credential: TokenCredential, log: Log): void {
  credential.getToken(ACS_SCOPE).catch((error: unknown) => {
    log.warn({ code: errorCode(error) }, 'no token of Entra ID yet; the first request asks again');
  });
}
