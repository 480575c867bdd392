/** Second-level kinds of record: the `{data_type}` segment of a key. */
export const DATA_TYPES = ['call', 'conversation', 'worker', 'system', 'cache', 'profile', 'auth'] as const;
export type DataType = (typeof DATA_TYPES)[number];

/** The `{component}` segment: which record of the identifier a key holds. */
export const Component = {
  /** `call`: the call's own record. */
  SESSION: 'session',
  /** `call`: who may write the call, (fence, incarnation, last write id). */
  FENCE: 'fence',
  /** `call`: stream of records on their way to Cosmos DB. */
  OUTBOX: 'outbox',
  /** `call`: ids that were ever appended to that stream, so that an entry sent again is not written twice. */
  OUTBOX_IDS: 'outbox_ids',
  /** `call`: records that Cosmos DB refuses for good, with the reason. */
  QUARANTINE: 'quarantine',
  /** `call`: short record of an ended call, for analytics. */
  SUMMARY: 'summary',
  /** `call`: state of a recording; read by the migration of older keys only. */
  RECORDING: 'recording',
  /** `call`: participants; read by the migration of older keys only. */
  PARTICIPANTS: 'participants',
  /** `call`: media streaming status; read by the migration of older keys only. */
  MEDIA_STREAM: 'media_stream',
  /** `conversation`: what the dialogue knows. */
  CONTEXT: 'context',
  /** `conversation`: what was said, in order. */
  HISTORY: 'history',
  /** `worker`: what the controller says of it. */
  AFFINITY: 'affinity',
  /** `worker`: what it says of itself. */
  HEARTBEAT: 'heartbeat',
  /** `worker`: callbacks that other workers parked for it. */
  INBOX: 'inbox',
  /** `profile`: working copy of a caller's profile. */
  COPY: 'copy',
  /** `profile`: the caller's keys, each wrapped by the tenant's. */
  KEYS: 'keys',
  /** `auth`: authentication state; expires on purpose, also during a call. */
  STATE: 'state',
  /** `system`: lease records by call ref. */
  LEASES: 'leases',
  /** `system`: `<worker>\0<callRef>` of every lease, expired ones included. */
  OWNED: 'owned',
  /** `system`: the expired ones among them. */
  LAPSED: 'lapsed',
  /** `system`: expiry of each lease, in Redis time. */
  EXPIRY: 'expiry',
  /** `system`: when an expired lease or an ended ring is forgotten. */
  PURGE: 'purge',
  /** `system`: outcome by ring id. */
  RINGS: 'rings',
  /** `system`: the highest fence that was seen in a re-assertion. */
  FENCES: 'fences',
  /** `system`: present while leases are renewed; missing means RECOVERING. */
  EPOCH: 'epoch',
  /** `system`: when a recovery was noticed. */
  RECOVERY: 'recovery',
  /** `system`: admitting, live workers with a free slot, by load. */
  INDEX: 'index',
  /** `system`: what placement needs to know of each worker. */
  WORKERS: 'workers',
  /** `system`: time of each worker's last heartbeat. */
  BEATS: 'beats',
  /** `system`: calls whose records are not all archived, by time of placement. */
  UNSENT: 'unsent',
  /** `system`: callConnectionId of those calls. */
  UNSENT_CALLS: 'unsent_calls',
  /** `system`: archiver claims by call ref. */
  DRAINS: 'drains',
  /** `system`: refused placements. */
  REFUSED: 'refused',
  /** `system`: the last refused placements with their candidates. */
  REFUSALS: 'refusals',
  /** `system`: highest controller fence that wrote. */
  CONTROLLER: 'controller',
  /** `system`: key layout the data were written in. */
  LAYOUT: 'layout',
  /** `system`: figures of jobs and audits. */
  METRICS: 'metrics',
  /** `system`: health of jobs and audits. */
  HEALTH: 'health',
} as const;
export type Component = (typeof Component)[keyof typeof Component];
