/** Generated from crds/voiceworkerpool.yaml by `npm run gen`; do not edit. */

/**
 * A fleet of equal voice workers in one namespace for one environment.
 */
export interface VoiceWorkerPool {
  apiVersion: 'rtvoice.dev/v1alpha1';
  kind: 'VoiceWorkerPool';
  metadata: {
    /**
     * Name of the pool, a DNS label of at most 40 characters. It is part of worker names, URLs and Redis keys, therefore the short limit.
     */
    name: string;
    /**
     * Namespace of the pool.
     */
    namespace?: string;
    annotations?: unknown;
    creationTimestamp?: unknown;
    deletionGracePeriodSeconds?: unknown;
    deletionTimestamp?: unknown;
    finalizers?: unknown;
    generateName?: unknown;
    generation?: unknown;
    labels?: unknown;
    managedFields?: unknown;
    ownerReferences?: unknown;
    resourceVersion?: unknown;
    selfLink?: unknown;
    uid?: unknown;
  };
  spec: PoolSpec;
  status?: PoolStatus;
}
/**
 * What the pool should be.
 */
export interface PoolSpec {
  /**
   * Environment this pool belongs to; part of every Redis key, so that environments never mix.
   */
  environment: 'dev' | 'test' | 'staging' | 'prod';
  /**
   * What `/scale` writes. `Automatic`: a floor for `scaling.floorSeconds`. `External`: the number of workers, kept between `minWorkers` and `maxWorkers`. `Fixed`: ignored, and a condition says so. An autoscaler needs it set once, since it cannot read a number that is not there.
   */
  replicas?: number;
  /**
   * Fewest workers. At least one, since a ring needs somebody to receive it; two keep the pool alive when one is lost.
   */
  minWorkers: number;
  /**
   * Most workers that admit calls; draining workers come on top. Not less than `minWorkers`.
   */
  maxWorkers: number;
  /**
   * Calls that may be placed on one worker. The loss of a worker touches this many calls at once, which should set the number rather than the processor.
   */
  slotsPerWorker: number;
  /**
   * Which worker a new call goes to.
   */
  placement: {
    /**
     * `Spread` takes the emptiest admitting worker, so that a lost worker touches few calls; `Pack` the fullest, so that workers become free to retire.
     */
    strategy: 'Spread' | 'Pack';
  };
  /**
   * What happens to a call when no worker has a free slot.
   */
  overflow: {
    /**
     * `Reject` answers busy; `Redirect` sends the call to `redirectTo`. Both count as demand for scaling.
     */
    action: 'Reject' | 'Redirect';
    /**
     * Where `Redirect` sends the call, a phone number (`+15551230000`) or a Communication Services user (`8:acs:…`).
     */
    redirectTo?: string;
  };
  /**
   * How many workers there are.
   */
  scaling: {
    /**
     * `Automatic`: the load decides, between `minWorkers` and `maxWorkers`. `External`: a person or another scaler decides. `Fixed`: always `minWorkers`.
     */
    mode: 'Automatic' | 'External' | 'Fixed';
    /**
     * Share of a worker's slots that counts as usable; more load than that asks for another worker.
     */
    connectionsThresholdPercent: number;
    /**
     * Share of a worker's memory limit that its calls may use together with the idle baseline; more asks for another worker.
     */
    memoryThresholdPercent: number;
    /**
     * A worker is retired only while the others would stay below this share of their slots. Less than `connectionsThresholdPercent`.
     */
    scaleDownConnectionsPercent: number;
    /**
     * A worker is retired only while the others would stay below this share of their memory limit. Less than `memoryThresholdPercent`.
     */
    scaleDownMemoryPercent: number;
    /**
     * How long one worker fewer must have been enough before one is retired.
     */
    scaleDownStabilizationSeconds: number;
    /**
     * Head-room is sized (Erlang B) so that the chance of refusing a call stays below this.
     */
    targetBlockingProbability: number;
    /**
     * Time between two scaling decisions. Two in a row must ask for more before a worker is added.
     */
    intervalSeconds: number;
    /**
     * Where the figures of `Automatic` come from. `Metrics`: each worker's `/metrics`. `Heartbeat`: the workers' heartbeats in Redis, for very large pools. `Prometheus`: the query of `prometheus`.
     */
    source: 'Metrics' | 'Heartbeat' | 'Prometheus';
    /**
     * How long a number written to `/scale` holds the pool up in mode `Automatic`.
     */
    floorSeconds: number;
    /**
     * The Prometheus server that source `Prometheus` asks.
     */
    prometheus?: {
      /**
       * Base URL of the server's HTTP API, such as `http://prometheus.monitoring:9090`.
       */
      url: string;
      /**
       * PromQL that gives one number, the calls offered to the pool.
       */
      query: string;
      /**
       * How long an answer may take.
       */
      timeoutSeconds: number;
      /**
       * Key in the pool's Secret whose value is sent as bearer token.
       */
      bearerTokenKey?: string;
    };
    /**
     * Floors by time of day, for load that is known beforehand.
     */
    schedules: PoolSchedule[];
  };
  /**
   * How workers are replaced when the document or the image changes.
   */
  update: {
    /**
     * Workers of the new revision that may be made before old ones are drained.
     */
    maxSurge: number;
    /**
     * Replaces nothing while it is true.
     */
    paused: boolean;
    /**
     * The new revision takes some calls first and is compared with the old one.
     */
    canary: {
      /**
       * Workers of the new revision that are tried first; 0 tries none. Not more than `minWorkers`.
       */
      workers: number;
      /**
       * Calls that the new revision must have answered before it is judged.
       */
      minCalls: number;
      /**
       * A new revision that has served for this long without doing worse is taken, even with fewer calls.
       */
      maxSeconds: number;
      /**
       * Share of failed call set-ups above which the new revision counts as worse.
       */
      maxSetupFailurePercent: number;
      /**
       * The new revision counts as worse when callers wait more than this many times as long for an answer, and at least a tenth of a second longer.
       */
      maxResponseRatio: number;
    };
    /**
     * What happens when the new revision is worse. `Rollback` drains its workers and goes on with the old one; `Pause` leaves both and waits for a person.
     */
    onFailure: 'Pause' | 'Rollback';
  };
  /**
   * What a drain from outside (node upgrade, spot instance taken back) does at its end. Scale-down and roll-out have no deadline.
   */
  drain: {
    /**
     * How long a drain from outside waits for calls to end by themselves.
     */
    externalDeadlineSeconds: number;
    /**
     * `HandOver` gives the calls that are left to another worker; `HangUp` ends them after a spoken notice.
     */
    atDeadline: 'HandOver' | 'HangUp';
    /**
     * How long a worker that is deleted goes on before it is told to stop, so that the names of workers are up to date everywhere.
     */
    preStopSeconds: number;
    /**
     * After this Kubernetes kills a worker that is deleted. At least `externalDeadlineSeconds` and `preStopSeconds` together.
     */
    terminationGracePeriodSeconds: number;
  };
  /**
   * Limits and form of one call.
   */
  call: {
    /**
     * A longer call is ended. Call tokens stay valid for this long.
     */
    maxDurationSeconds: number;
    /**
     * A call is ended when nobody has spoken for this long.
     */
    idleTimeoutSeconds: number;
    /**
     * Samples per second of the audio in both directions (16-bit mono PCM).
     */
    sampleRateHertz: 16000 | 24000;
    /**
     * How long a call may be without its media socket before it is hung up. Less than `maxDurationSeconds`.
     */
    mediaReconnectGraceSeconds: number;
  };
  /**
   * Size and form of one worker.
   */
  worker: {
    /**
     * Memory of one worker. At 85 % of it the worker takes no new calls. The `Offline` voice backend alone needs about 450 MiB before the first call.
     */
    memoryLimitMiB: number;
    /**
     * Calls of one worker, takeovers of a lost worker's calls included; placement stops at `slotsPerWorker`. Not less than `slotsPerWorker`.
     */
    hardSlotLimit: number;
    /**
     * Container image of the worker; without it the controller's RTVOICE_WORKER_IMAGE. Local mode ignores it.
     */
    image?: string;
    /**
     * When a node fetches the image.
     */
    imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
    /**
     * Processor time that is reserved for one worker, in thousandths of a core. A worker uses one core at the most.
     */
    cpuRequestMillicores: number;
    /**
     * What else a worker's Pod needs, merged under what rtvoice sets; the container named `worker` may get `env`, `envFrom`, `volumeMounts`, `resources` and `securityContext`.
     */
    podTemplate?: {
      /**
       * Labels and annotations of the Pod.
       */
      metadata?: {
        /**
         * Labels to add; those of rtvoice win.
         */
        labels?: {
          /**
           * Value of the label.
           */
          [k: string]: string;
        };
        /**
         * Annotations to add; those of rtvoice win.
         */
        annotations?: {
          /**
           * Value of the annotation.
           */
          [k: string]: string;
        };
      };
      /**
       * Fields of a PodSpec, checked when a Pod is made.
       */
      spec?: {
        [k: string]: unknown;
      };
    };
  };
  /**
   * How the pool uses Redis. Its address is a setting of the processes, in a cluster a key of the pool's Secret.
   */
  redis: {
    /**
     * While Redis cannot be reached, a worker takes rings into its own free slots for this long; after that they are refused and Event Grid comes again.
     */
    unreplicatedGraceSeconds: number;
    /**
     * First part of every key.
     */
    keyPrefix: string;
    /**
     * How long the affinity record of a worker lives without a refresh. More than 60 and `unreplicatedGraceSeconds` together, so that it outlives a refresh that fails.
     */
    affinitySeconds: number;
    /**
     * Above any of these the condition `RedisScaleNeeded` is raised and the actuator called. Workers are never added for it.
     */
    scaleAt: {
      /**
       * Share of Redis' memory limit. Less than `shed.ttsCachePercent`.
       */
      memoryPercent: number;
      /**
       * Share of the connections that Redis allows.
       */
      clientsPercent: number;
      /**
       * Operations per second of one shard.
       */
      operationsPerSecondPerShard: number;
      /**
       * Shards that the operations are spread over.
       */
      shards: number;
    };
    /**
     * What is given up when Redis' memory runs out, in this order.
     */
    shed: {
      /**
       * Above this share of the memory limit no synthesised speech is cached any more. Between `scaleAt.memoryPercent` and `callsPercent`.
       */
      ttsCachePercent: number;
      /**
       * Above this share of the memory limit new calls are refused. More than `ttsCachePercent`.
       */
      callsPercent: number;
    };
    /**
     * What enlarges Redis when `scaleAt` is passed.
     */
    actuator: {
      /**
       * `None` leaves it to people. `Webhook` posts a signed request to `webhook`. `AzureResourceManager` moves `azure` to its next SKU.
       */
      type: 'None' | 'Webhook' | 'AzureResourceManager';
      /**
       * Shortest time between two calls of the actuator.
       */
      cooldownSeconds: number;
      /**
       * The receiver of type `Webhook`.
       */
      webhook?: {
        /**
         * Where the request is posted.
         */
        url: string;
        /**
         * Key in the pool's Secret whose value signs the request (HMAC-SHA256).
         */
        signingKey: string;
      };
      /**
       * The Azure Managed Redis of type `AzureResourceManager`.
       */
      azure?: {
        /**
         * Azure resource id of the Redis, `/subscriptions/…/providers/Microsoft.Cache/redisEnterprise/…`.
         */
        resourceId: string;
        /**
         * Names of the SKUs that may be taken, smallest first.
         *
         * Items: Name of a SKU, such as `Balanced_B5`.
         */
        skus: string[];
      };
    };
  };
  /**
   * How Communication Services reaches the worker of a call. Local mode uses a front of its own.
   */
  routing: {
    /**
     * `Edge`: the HAProxy that ships with rtvoice. `Gateway`: one route of the Gateway API per worker. `Relay`: any load balancer, and workers pass on what is not theirs.
     */
    mode: 'Edge' | 'Gateway' | 'Relay';
    /**
     * Base URL under which Communication Services reaches the pool; without it the controller's RTVOICE_PUBLIC_URL.
     */
    publicUrl?: string;
    /**
     * The Gateway that routes are attached to in mode `Gateway`.
     */
    gateway?: {
      /**
       * Name of the Gateway.
       */
      name: string;
      /**
       * Namespace of the Gateway, if not that of the pool.
       */
      namespace?: string;
      /**
       * Listener of the Gateway; without it all of them.
       */
      sectionName?: string;
      /**
       * Host name that the routes match; without it any.
       */
      hostname?: string;
    };
  };
  /**
   * Secret in the pool's namespace whose keys are settings of the workers, such as RTVOICE_REDIS_URL and RTVOICE_INTERNAL_KEYS. Local mode ignores it.
   */
  secretName: string;
  /**
   * The Communication Services resource; each field wins over the key of that setting in the Secret. Local mode ignores it.
   */
  acs?: {
    /**
     * Endpoint of the resource (RTVOICE_ACS_ENDPOINT).
     */
    endpoint?: string;
    /**
     * Immutable id of the resource, the audience of the tokens it sends (RTVOICE_ACS_RESOURCE_ID).
     */
    resourceId?: string;
    /**
     * Azure resource id that every Event Grid event must name as its topic (RTVOICE_EVENTGRID_TOPIC).
     */
    eventGridTopic?: string;
  };
  /**
   * The Cosmos DB account; each field wins over the key of that setting in the Secret. Local mode ignores it.
   */
  cosmos?: {
    /**
     * Endpoint of the account (RTVOICE_COSMOS_ENDPOINT).
     */
    endpoint?: string;
    /**
     * Name of the database (RTVOICE_COSMOS_DATABASE).
     */
    database?: string;
  };
  /**
   * Who speaks with the caller.
   */
  voice: {
    /**
     * `Offline` recognises and speaks on the worker itself and follows `dialogue`; `Echo` answers keys with a tone, for tests of the media path and for load.
     */
    backend: 'Offline' | 'Echo';
    /**
     * File with the dialogue of the `Offline` backend. A relative path starts at the folder of the pool document; `builtin:example` is the example that ships with rtvoice.
     */
    dialogue: string;
    /**
     * Voice that speaks; for `Offline` a voice of flite such as `slt`, `rms`, `awb` or `kal16`.
     */
    voiceName: string;
    /**
     * First sentence of every call, instead of the one in the dialogue.
     */
    greeting?: string;
  };
}
/**
 * One window of time with a floor of its own.
 */
export interface PoolSchedule {
  /**
   * Name of the window, a DNS label; no two windows have the same.
   */
  name: string;
  /**
   * When the window opens, in five fields: minute, hour, day of the month, month, day of the week; `0 8 * * 1-5` is eight on weekdays.
   */
  cron: string;
  /**
   * IANA name of the zone that `cron` is meant in, such as `Europe/Berlin`.
   */
  timeZone: string;
  /**
   * How long the window stays open.
   */
  durationSeconds: number;
  /**
   * Fewest workers while the window is open. Not more than the pool's `maxWorkers`.
   */
  minWorkers: number;
}
/**
 * What the controller saw last. Figures may be 15 seconds old.
 */
export interface PoolStatus {
  /**
   * Generation of the spec that this status speaks of.
   */
  observedGeneration?: number;
  /**
   * Workers that admit calls, the number that `/scale` speaks of.
   */
  replicas?: number;
  /**
   * Labels of those workers' Pods, for `/scale`.
   */
  selector?: string;
  /**
   * One word for the whole, such as `Ready`, `Progressing`, `Degraded` or `Terminating`; the conditions say more.
   */
  phase?: string;
  /**
   * Workers that the pool should have.
   */
  wantedWorkers?: number;
  /**
   * Workers that serve and admit calls.
   */
  readyWorkers?: number;
  /**
   * Workers that take no new calls and wait for theirs to end.
   */
  drainingWorkers?: number;
  /**
   * Calls in progress on all workers.
   */
  activeCalls?: number;
  /**
   * Slots of all ready workers.
   */
  capacity?: number;
  /**
   * Calls in percent of `capacity`; draining workers can bring it above 100.
   */
  utilizationPercent?: number;
  /**
   * How long the oldest call has lasted.
   */
  oldestCallSeconds?: number;
  /**
   * Whether the pool's Redis answers; `Recovering` while workers re-assert their calls after an outage.
   */
  redis?: 'Available' | 'Recovering' | 'Unavailable' | 'Unknown';
  /**
   * What `spec.redis.actuator` was asked last. A controller that starts goes on from it and asks no second time.
   */
  redisActuation?: {
    /**
     * The same for every try of one request; a receiver acts on it once.
     */
    key: string;
    /**
     * When it was decided.
     */
    time: string;
    /**
     * `Requested` is written down and sent right after; `Accepted` is under way at the other end; `Done` has made Redis larger or handed the order over; `Refused` needs a person; `Failed` is tried again after the cooldown.
     */
    state: 'Requested' | 'Accepted' | 'Done' | 'Refused' | 'Failed';
    /**
     * One sentence, for people.
     */
    message: string;
    /**
     * The cooldown after it is not over.
     */
    holds: boolean;
  };
  /**
   * Revision that has proven itself, a hash of the document.
   */
  revision?: string;
  /**
   * Revision of the document as it stands; another one than `revision` during a roll-out.
   */
  updateRevision?: string;
  /**
   * Image that new workers are made from.
   */
  image?: string;
  /**
   * How far the replacement of workers has come.
   */
  rollout?: {
    /**
     * `Stable`: one revision alone. `Canary`: a few workers of the new one are tried. `Rolling`: workers are replaced. `Paused`: nothing is replaced. `RolledBack`: the new revision was worse and is given up.
     */
    phase: 'Stable' | 'Canary' | 'Rolling' | 'Paused' | 'RolledBack';
    /**
     * One sentence why, for people.
     */
    message: string;
    /**
     * The new revision was found worse; only another document ends this.
     */
    failed?: boolean;
  };
  /**
   * The number that was taken from `replicas` last.
   */
  scaleRequest?: {
    /**
     * The number.
     */
    replicas: number;
    /**
     * Its time as a floor is not over.
     */
    holds: boolean;
  };
  /**
   * The last change of the number of workers.
   */
  lastScaling?: {
    /**
     * When it was.
     */
    time: string;
    /**
     * Workers wanted before.
     */
    from: number;
    /**
     * Workers wanted after.
     */
    to: number;
    /**
     * One sentence why, for people.
     */
    reason: string;
  };
  /**
   * Workers that are being emptied.
   */
  drains?: PoolDrain[];
  /**
   * What the pool waits for, in words.
   *
   * Items: One thing that it waits for.
   */
  waitingFor?: string[];
  /**
   * What is true of the pool, one entry per type.
   */
  conditions?: PoolCondition[];
}
/**
 * One worker that is being emptied.
 */
export interface PoolDrain {
  /**
   * Name of the worker.
   */
  worker: string;
  /**
   * One sentence why, for people.
   */
  reason: string;
  /**
   * Calls that it still has.
   */
  calls?: number;
  /**
   * How long the oldest of them has lasted.
   */
  oldestCallSeconds?: number;
  /**
   * When the drain began.
   */
  since?: string;
  /**
   * When it will probably be empty, from the lengths of past calls.
   */
  expectedEnd?: string;
  /**
   * When calls that are left are handed over or ended; drains without a deadline have none.
   */
  deadline?: string;
  /**
   * What keeps it, in words.
   */
  waitingFor?: string;
}
/**
 * One thing that is or is not true of the pool.
 */
export interface PoolCondition {
  /**
   * Name of the condition, such as `Ready`.
   */
  type: string;
  /**
   * Whether it holds.
   */
  status: 'True' | 'False' | 'Unknown';
  /**
   * Generation of the spec that it speaks of.
   */
  observedGeneration?: number;
  /**
   * When `status` changed last.
   */
  lastTransitionTime: string;
  /**
   * One word why, for programs.
   */
  reason: string;
  /**
   * One sentence why, for people.
   */
  message: string;
}
