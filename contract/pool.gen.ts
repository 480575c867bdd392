/** Generated from crds/voiceworkerpool.yaml by `npm run gen`; do not edit. */

/**
 * A fleet of equal voice workers in one namespace for one environment.
 */
export interface VoiceWorkerPool {
  apiVersion: 'rtvoice.dev/v1alpha1';
  kind: 'VoiceWorkerPool';
  metadata: {
    /**
     * Name of the pool, a DNS label. It is part of worker names, URLs and Redis keys, therefore the short limit.
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
     * How long a call may be without its media socket before it is hung up.
     */
    mediaReconnectGraceSeconds: number;
  };
  /**
   * Size of one worker.
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
  };
  /**
   * How the pool uses Redis. Its address is a setting of the processes.
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
 * What the controller saw last. Figures may be 15 seconds old.
 */
export interface PoolStatus {
  /**
   * Generation of the spec that this status speaks of.
   */
  observedGeneration?: number;
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
   * What is true of the pool, one entry per type.
   */
  conditions?: PoolCondition[];
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
