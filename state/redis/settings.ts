import { choice, optionalText, setting, text } from '../../platform/config.ts';
import { REDIS_MODES } from './target.ts';

/** How a process reaches Redis: a fragment that the settings of each process spread. TLS 1.3 is not a setting: `rediss://` speaks nothing older. */
export const REDIS_SETTINGS = {
  redisMode: setting({
    env: 'RTVOICE_REDIS_MODE',
    description:
      'Form of Redis: `Standalone`, `Sentinel`, `Cluster` (clients know the shards; the OSS policy of Azure Managed Redis) or `Enterprise` (shards behind one proxy). Decides the key layout, so it cannot change under data.',
    schema: choice(...REDIS_MODES),
    default: 'Standalone',
  }),
  redisUrl: setting({
    env: 'RTVOICE_REDIS_URL',
    description:
      'Redis, `redis://` or `rediss://` (TLS 1.3): `[user:password@]host[:port][/database]`, user and password percent-encoded. Sentinel and Cluster take several hosts, separated by commas; Sentinel needs `?master=<name>`, and `&sentinelAuth=true` when the Sentinels ask for the same user and password.',
    schema: text,
    secret: true,
  }),
  redisAuthentication: setting({
    env: 'RTVOICE_REDIS_AUTHENTICATION',
    description: '`Password`: of the URL or of a file. `Entra`: tokens of Microsoft Entra ID; needs `rediss://`.',
    schema: choice('Password', 'Entra'),
    default: 'Password',
  }),
  redisUser: setting({
    env: 'RTVOICE_REDIS_USER',
    description:
      'User name with a password file; with Entra the object id of the identity. `-` takes the user of the URL, or with Entra the `oid` of the token.',
    schema: optionalText,
    default: '-',
  }),
  redisPasswordFile: setting({
    env: 'RTVOICE_REDIS_PASSWORD_FILE',
    description:
      'File with the password, in place of one in the URL. It is read once a second, and a new password is taken without a cut; `-` reads none.',
    schema: optionalText,
    default: '-',
  }),
  redisTlsCaFile: setting({
    env: 'RTVOICE_REDIS_TLS_CA_FILE',
    description:
      'PEM file of the authority that signed the certificates of Redis; `-` takes the authorities of the system.',
    schema: optionalText,
    default: '-',
  }),
} as const;
