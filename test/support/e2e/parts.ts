/** What a pool needs around it in a cluster of the tests, as objects: Redis, the simulated Azure, and the Secrets that lead to both. */

export const STORES = 'stores';
export const AZURE_HOST = `azure.${STORES}.svc.cluster.local`;
export const AZURE_PORTS = { acs: 8440, entra: 8441, cosmos: 8442, control: 8443 } as const;
export const REDIS_URL = `redis://redis.${STORES}.svc.cluster.local:6379`;
/** Label of the node that carries what must outlive the other one. */
export const SYSTEM_NODE = { 'rtvoice.dev/test-role': 'system' };

export interface Images {
  /** The product. */
  readonly rtvoice: string;
  /** The product with redis-server, haproxy, openssl and flite. */
  readonly tools: string;
}

export const KEYS = {
  control: 'control-token-of-the-tests-0001',
  controllerApi: 'controller-token-of-the-tests-0001',
  eventGrid: 'event-grid-key-of-the-tests-0001',
  internal: 'internal-key-of-the-tests-0001',
  callToken: 'call-token-key-of-the-tests-0001',
  callerId: 'caller-id-key-of-the-tests-0001',
} as const;

const SECURITY = {
  runAsNonRoot: true,
  runAsUser: 65_532,
  runAsGroup: 65_532,
  fsGroup: 65_532,
  seccompProfile: { type: 'RuntimeDefault' },
};
const CONTAINER_SECURITY = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

export function namespace(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

export function secret(ns: string, name: string, stringData: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: ns }, stringData };
}

/** Kept on the system node, without a disk: a story that restarts it wants it empty. */
export function redis(images: Images): object[] {
  return [
    ...single('redis', {
      image: images.tools,
      command: ['redis-server', '--save', '', '--protected-mode', 'no', '--bind', '0.0.0.0', '--dir', '/tmp'],
      ports: [{ containerPort: 6379 }],
      readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
    }),
    service('redis', [6379]),
  ];
}

/** `authority`: PEM files `ca.key` and `ca.pem`, so that the certificate of the edge comes from the same authority. */
export function azure(images: Images, authority: { key: string; cert: string }): object[] {
  const script = [
    'mkdir -p /data/ca && cp /authority/* /data/ca/ && chmod 600 /data/ca/ca.key',
    `exec node /app/dist/simulators/main.js --dir /data --port-file /data/ports.json --host ${AZURE_HOST} --first-port ${AZURE_PORTS.acs}`,
  ].join(' && ');
  const pods = single(
    'azure',
    {
      image: images.tools,
      command: ['/bin/sh', '-c', script],
      env: [
        { name: 'RTVOICE_EVENTGRID_KEYS', value: KEYS.eventGrid },
        { name: 'RTVOICE_SIMULATOR_TOKEN', value: KEYS.control },
        { name: 'NODE_EXTRA_CA_CERTS', value: '/authority/ca.pem' },
        { name: 'HOME', value: '/data' },
      ],
      ports: Object.values(AZURE_PORTS).map((containerPort) => ({ containerPort })),
      readinessProbe: { tcpSocket: { port: AZURE_PORTS.control }, periodSeconds: 1 },
      volumeMounts: [
        { name: 'data', mountPath: '/data' },
        { name: 'authority', mountPath: '/authority', readOnly: true },
      ],
    },
    [
      { name: 'data', emptyDir: {} },
      { name: 'authority', secret: { secretName: 'authority' } },
    ],
  );
  return [
    secret(STORES, 'authority', { 'ca.key': authority.key, 'ca.pem': authority.cert }),
    ...pods,
    service('azure', Object.values(AZURE_PORTS)),
  ];
}

/** One Pod that comes back, on the system node. */
export function single(name: string, container: object, volumes: object[] = []): object[] {
  const labels = { app: name };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: STORES },
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            nodeSelector: SYSTEM_NODE,
            // They stand for what is outside the cluster: nothing that happens to a node moves them.
            tolerations: [{ effect: 'NoExecute', operator: 'Exists' }],
            securityContext: SECURITY,
            terminationGracePeriodSeconds: 5,
            enableServiceLinks: false,
            containers: [{ name, imagePullPolicy: 'IfNotPresent', securityContext: CONTAINER_SECURITY, ...container }],
            volumes,
          },
        },
      },
    },
  ];
}

export function service(name: string, ports: readonly number[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: STORES },
    spec: { selector: { app: name }, ports: ports.map((port) => ({ name: `p${port}`, port })) },
  };
}
