import { KEY_KINDS, type KeyKind, ttlPolicy } from '../../state/keys/catalogue.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { TTL_POLICIES, type TtlPurpose } from '../../state/keys/ttl.ts';
import { isOpen } from '../../state/manager/write_rules.ts';
import { heading, row } from './markdown.ts';

const HEAD = `${heading('Keys in Redis')}
\`{app_prefix}:{environment}:{data_type}:{identifier}:{component}\`, built by \`RedisKeyManager\` alone. The environment is \`dev\`, \`test\`, \`staging\` or \`prod\`;
anything else is an error, never a silent \`dev\`. Identifiers match \`[A-Za-z0-9._-]{1,128}\`; another one is replaced by a hash of it, so that none can reach another key.
Pool tags and worker ids are refused instead. With Redis Cluster, and behind the proxy of Azure Managed Redis, the part that decides the slot stands in
braces; the layout is pinned by a stored marker that every start checks.

Every key has a time to live, set in the same command or script as the write, and judged by the clock of Redis. \`AsyncAzureRedisManager.audit\` walks the
keyspace and names each key that breaks a rule of this page.

## Kinds

\`open\`: an application may write it through \`AsyncAzureRedisManager\`. The others are written by scripts, which check fences and keep indexes.

`;

const TTL_HEAD = `
## Lifetimes

The data architecture gives times per purpose; this table joins them to the kinds above. A time of a caller's own must lie between the two bounds; outside it is
\`ERR_TTL_INVALID\`, never clamped in silence. Where a live call refreshes a key, its owner does so at a third of the shortest of them.

`;

export function keysTable(): string {
  const kinds = KEY_KINDS.map((kind) =>
    row([`\`${example(kind)}\``, kind.redisType, `\`${kind.ttl}\``, isOpen(kind) ? 'open' : 'scripts']),
  );
  const purposes = (Object.keys(TTL_POLICIES) as TtlPurpose[]).map((purpose) => {
    const { seconds, min, max, refreshedDuringCall, keeps } = TTL_POLICIES[purpose];
    return row([`\`${purpose}\``, spell(seconds), spell(min), spell(max), refreshedDuringCall ? 'yes' : 'no', keeps]);
  });
  return [
    HEAD,
    row(['key', 'type', 'lives as', 'written by']),
    row(['---', '---', '---', '---']),
    ...kinds,
    TTL_HEAD,
    row(['purpose', 'default', 'least', 'most', 'refreshed by a live call', 'keeps']),
    row(['---', '---', '---', '---', '---', '---']),
    ...purposes,
  ].join('');
}

function example(kind: KeyKind): string {
  const keys = new RedisKeyManager({ environment: 'prod' });
  const { dataType, component } = kind;
  const pool = { namespace: 'voice', pool: 'frontdesk' };
  if (component === undefined) return keys.ttsKey('<hash>').replace(/[^:]+$/, '<hash>');
  if (dataType === 'worker') return keys.workerKey(pool, 'frontdesk-abcde', component);
  if (dataType === 'call') return keys.callKey('<call>', component).replace(/h-[0-9a-f]+/, '<call connection id>');
  if (dataType === 'conversation')
    return keys.conversationKey('<id>', component).replace(/h-[0-9a-f]+/, '<session id>');
  if (dataType === 'auth') return keys.authKey('<id>').replace(/h-[0-9a-f]+/, '<call connection id>');
  if (dataType === 'profile')
    return keys.profileKey('<id>', component === 'keys' ? 'keys' : 'copy').replace(/h-[0-9a-f]+/, '<caller id>');
  return ttlPolicy(kind) === TTL_POLICIES.layout_marker || ttlPolicy(kind) === TTL_POLICIES.system_records
    ? keys.globalKey('<name>', component).replace(/h-[0-9a-f]+/, '<name>')
    : keys.systemKey(pool, component);
}

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
];

function spell(seconds: number): string {
  const [size, name] = UNITS.find(([unit]) => seconds % unit === 0) ?? [1, 's'];
  return `${seconds / size} ${name}`;
}
