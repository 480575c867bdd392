import { readFile } from 'node:fs/promises';
import type { ClusterFleet } from './fleet.ts';
import { STORES, secret, service, single } from './parts.ts';

const NAME = 'external-metrics';
const API_SERVICE = 'v1beta1.external.metrics.k8s.io';
const VALUE_FILE = '/tmp/value';

/** An external metrics API whose one value the test sets, as an autoscaler reads it. */
export class ExternalMetrics {
  readonly #fleet: ClusterFleet;

  private constructor(fleet: ClusterFleet) {
    this.#fleet = fleet;
  }

  static async start(fleet: ClusterFleet, value: number): Promise<ExternalMetrics> {
    const { kubectl } = fleet;
    const script = await readFile(new URL('external_metrics_server.mjs', import.meta.url), 'utf8');
    const { cert, key } = await fleet.certificate([`${NAME}.${STORES}.svc`]);
    await kubectl.apply([
      secret(STORES, NAME, { 'tls.crt': cert, 'tls.key': key, 'server.mjs': script }),
      ...single(
        NAME,
        {
          image: fleet.access.images.rtvoice,
          command: [
            '/bin/sh',
            '-c',
            `echo ${value} > ${VALUE_FILE} && exec node /files/server.mjs /files ${VALUE_FILE}`,
          ],
          ports: [{ containerPort: 8443 }],
          readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
          volumeMounts: [{ name: 'files', mountPath: '/files', readOnly: true }],
        },
        [{ name: 'files', secret: { secretName: NAME } }],
      ),
      service(NAME, [8443]),
      {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: API_SERVICE },
        spec: {
          ...{ group: 'external.metrics.k8s.io', version: 'v1beta1', groupPriorityMinimum: 100, versionPriority: 100 },
          ...{ insecureSkipTLSVerify: true, service: { name: NAME, namespace: STORES, port: 8443 } },
        },
      },
    ]);
    await kubectl.run(['wait', '--for=condition=Available', `apiservice/${API_SERVICE}`, '--timeout=60s'], {
      limitMs: 70_000,
    });
    return new ExternalMetrics(fleet);
  }

  async set(value: number): Promise<void> {
    const write = `echo ${value} > ${VALUE_FILE}`;
    await this.#fleet.kubectl.run(['exec', '-n', STORES, `deployment/${NAME}`, '--', '/bin/sh', '-c', write]);
  }

  /** An API that is registered and does not answer would disturb every discovery after it. */
  async stop(): Promise<void> {
    const { kubectl } = this.#fleet;
    await kubectl.attempt(['delete', 'apiservice', API_SERVICE]);
    await kubectl.attempt(['delete', '-n', STORES, `deployment/${NAME}`, `service/${NAME}`, '--wait=false']);
  }
}

/** An autoscaler of the pool: one worker for so many of the metric. */
export function autoscaler(ns: string, pool: string, perWorker: number): object {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: pool, namespace: ns },
    spec: {
      scaleTargetRef: { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', name: pool },
      ...{ minReplicas: 1, maxReplicas: 4 },
      metrics: [
        {
          type: 'External',
          external: {
            metric: { name: 'rtvoice_calls' },
            target: { type: 'AverageValue', averageValue: String(perWorker) },
          },
        },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  };
}
