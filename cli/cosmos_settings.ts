import { optionalText, setting, text } from '../platform/config.ts';

/** What commands need to reach the archive; the same account as the workers'. */
export const COSMOS_ACCOUNT_SETTINGS = {
  endpoint: setting({
    env: 'RTVOICE_COSMOS_ENDPOINT',
    description: 'Cosmos DB account endpoint; `-` takes that of the local mode in the state folder.',
    schema: optionalText,
    default: '-',
  }),
  database: setting({
    env: 'RTVOICE_COSMOS_DATABASE',
    description: 'Cosmos DB database.',
    schema: text,
    default: 'rtvoice',
  }),
  key: setting({
    env: 'RTVOICE_COSMOS_KEY',
    description:
      'Account key for `rtvoice cosmos init`: data roles of Entra may not create containers. `-` signs in with Entra.',
    schema: optionalText,
    default: '-',
    secret: true,
  }),
};
