import type { TokenCredential } from '@azure/identity';

/** The identity that Entra ID gives this process. Its library is loaded when the first pool needs it: most controllers have no such pool. */
export function lazyCredential(env: NodeJS.ProcessEnv): TokenCredential {
  let loading: Promise<TokenCredential> | undefined;
  return {
    async getToken(scopes, options) {
      loading ??= import('../../platform/azure_credential.ts').then(({ createCredential }) =>
        createCredential(env.AZURE_AUTHORITY_HOST),
      );
      return (await loading).getToken(scopes, options);
    },
  };
}
