/** Temporary hand-written shape; generated from crds/voiceworkerpool.yaml. */
export interface VoiceWorkerPool {
  apiVersion: 'rtvoice.dev/v1alpha1';
  kind: 'VoiceWorkerPool';
  metadata: { name: string; namespace?: string };
  spec: PoolSpec;
}

export interface PoolSpec {
  environment: 'dev' | 'test' | 'staging' | 'prod';
  minWorkers: number;
  maxWorkers: number;
  /** Call slots of one worker. */
  slotsPerWorker: number;
  placement: { strategy: 'Spread' | 'Pack' };
  overflow: { action: 'Reject' | 'Redirect'; redirectTo?: string };
  scaling: {
    mode: 'Automatic' | 'External' | 'Fixed';
    connectionsThresholdPercent: number;
    memoryThresholdPercent: number;
    scaleDownConnectionsPercent: number;
    scaleDownMemoryPercent: number;
    scaleDownStabilizationSeconds: number;
    targetBlockingProbability: number;
    intervalSeconds: number;
  };
  drain: {
    /** For drains that come from outside (node upgrade, spot); scale-down and roll-out have none. */
    externalDeadlineSeconds: number;
    atDeadline: 'HandOver' | 'HangUp';
  };
  call: {
    maxDurationSeconds: number;
    idleTimeoutSeconds: number;
    sampleRateHertz: 16000 | 24000;
    mediaReconnectGraceSeconds: number;
  };
  worker: { memoryLimitMiB: number; hardSlotLimit: number };
  redis: { unreplicatedGraceSeconds: number; keyPrefix: string };
  voice: { backend: 'Offline' | 'Echo'; dialogue: string; voiceName: string; greeting?: string };
}
