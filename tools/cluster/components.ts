import { mkdirSync, writeFileSync } from 'node:fs';
import { type Layout, NETWORK, type NodeLayout, nodeUser, USERS } from './layout.ts';
import { binary } from './paths.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

export const PAUSE_IMAGE = 'localhost/pause:1';

export function etcd(layout: Layout): Command {
  const client = 'http://127.0.0.1:2379';
  const args = ['--data-dir', layout.at('etcd'), '--unsafe-no-fsync', '--log-level', 'warn'];
  args.push(
    '--listen-client-urls',
    client,
    '--advertise-client-urls',
    client,
    '--listen-peer-urls',
    'http://127.0.0.1:2380',
  );
  return { program: binary('etcd'), args };
}

export function apiServer(layout: Layout): Command {
  const pki = (name: string) => layout.at('pki', name);
  return {
    program: binary('kube-apiserver'),
    args: [
      ...[
        '--etcd-servers=http://127.0.0.1:2379',
        `--bind-address=${NETWORK.api}`,
        `--advertise-address=${NETWORK.api}`,
      ],
      ...[
        `--secure-port=${NETWORK.apiPort}`,
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
      ],
      ...[`--token-auth-file=${pki('tokens.csv')}`, '--authorization-mode=Node,RBAC'],
      '--service-account-issuer=https://kubernetes.default.svc',
      ...[`--service-account-key-file=${pki('sa.pub')}`, `--service-account-signing-key-file=${pki('sa.key')}`],
      `--service-cluster-ip-range=${NETWORK.services}`,
      ...[`--kubelet-certificate-authority=${pki('ca.crt')}`, `--kubelet-client-certificate=${pki('to-kubelet.crt')}`],
      ...[
        `--kubelet-client-key=${pki('to-kubelet.key')}`,
        '--kubelet-preferred-address-types=InternalIP',
        '--allow-privileged=true',
      ],
      // A dead node is noticed in seconds, as a test needs it.
      ...['--default-unreachable-toleration-seconds=3', '--default-not-ready-toleration-seconds=3'],
      // External metrics for a HorizontalPodAutoscaler come from a server of the tests.
      ...[`--requestheader-client-ca-file=${pki('ca.crt')}`, '--requestheader-allowed-names='],
      ...['--requestheader-username-headers=X-Remote-User', '--requestheader-group-headers=X-Remote-Group'],
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      ...[`--proxy-client-cert-file=${pki('to-kubelet.crt')}`, `--proxy-client-key-file=${pki('to-kubelet.key')}`],
      '--enable-aggregator-routing=true',
    ],
  };
}

export function controllerManager(layout: Layout): Command {
  return {
    program: binary('kube-controller-manager'),
    args: [
      ...[
        `--kubeconfig=${layout.kubeconfig(USERS.manager.name)}`,
        '--leader-elect=false',
        '--use-service-account-credentials=true',
      ],
      ...[
        `--service-account-private-key-file=${layout.at('pki', 'sa.key')}`,
        `--root-ca-file=${layout.at('pki', 'ca.crt')}`,
      ],
      ...['--bind-address=127.0.0.1', '--kube-api-qps=500', '--kube-api-burst=1000'],
      ...['--node-monitor-grace-period=9s', '--node-monitor-period=1s', '--horizontal-pod-autoscaler-sync-period=3s'],
    ],
  };
}

export function scheduler(layout: Layout): Command {
  const args = [
    `--kubeconfig=${layout.kubeconfig(USERS.scheduler.name)}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
  ];
  return { program: binary('kube-scheduler'), args };
}

export function kubeProxy(layout: Layout): Command {
  return {
    program: binary('kube-proxy'),
    args: [
      ...[`--kubeconfig=${layout.kubeconfig(USERS.proxy.name)}`, '--proxy-mode=nftables', '--hostname-override=node1'],
      ...[`--cluster-cidr=${NETWORK.pods}`, `--bind-address=${NETWORK.api}`, '--healthz-bind-address=127.0.0.1:10256'],
      // The sysctl is not ours to set.
      ...['--metrics-bind-address=127.0.0.1:10249', '--conntrack-max-per-core=0'],
    ],
  };
}

export function coreDns(layout: Layout): Command {
  const file = layout.at('Corefile');
  writeFileSync(
    file,
    `.:53 {
  bind ${NETWORK.api}
  kubernetes cluster.local {
    kubeconfig ${layout.kubeconfig(USERS.dns.name)}
    pods disabled
    ttl 2
  }
  cache 2
}
`,
  );
  return { program: binary('coredns'), args: ['-conf', file] };
}

export function containerd(layout: Layout, node: NodeLayout): Command {
  const at = (...parts: string[]) => layout.at(node.name, ...parts);
  mkdirSync(at('cni'), { recursive: true });
  const network = {
    cniVersion: '0.4.0',
    name: `pods-${node.name}`,
    plugins: [
      {
        ...{ type: 'bridge', bridge: NETWORK.bridge, isGateway: true, ipMasq: false, hairpinMode: true },
        ipam: {
          type: 'host-local',
          ranges: [
            [{ subnet: NETWORK.pods, rangeStart: node.range.start, rangeEnd: node.range.end, gateway: NETWORK.api }],
          ],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: at('ipam'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
  writeFileSync(at('cni', '10-bridge.conflist'), JSON.stringify(network));
  const file = at('containerd.toml');
  writeFileSync(file, containerdConfig(layout, node));
  return { program: 'containerd', args: ['--config', file] };
}

function containerdConfig(layout: Layout, node: NodeLayout): string {
  const at = (...parts: string[]) => layout.at(node.name, ...parts);
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${at('containerd')}"
state = "${at('state')}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.internal.v1.opt"]
  path = "${at('opt')}"
[grpc]
  address = "${layout.containerd(node.name)}"
[${cri}]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without the right to lower it, a negative score fails every sandbox.
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${at('cni')}"
`;
}

export function kubelet(layout: Layout, node: NodeLayout): Command {
  const at = (...parts: string[]) => layout.at(node.name, ...parts);
  const pki = (name: string) => layout.at('pki', name);
  const config = {
    ...{ apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' },
    containerRuntimeEndpoint: `unix://${layout.containerd(node.name)}`,
    // The host may have cgroups of version 1, and no systemd.
    ...{ failCgroupV1: false, cgroupDriver: 'cgroupfs', cgroupRoot: layout.nodeCgroup(node.name) },
    ...{ address: node.ip, healthzPort: 0, failSwapOn: false, resolvConf: '' },
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: pki('ca.crt') },
    },
    authorization: { mode: 'AlwaysAllow' },
    ...{ tlsCertFile: pki(`${node.name}.crt`), tlsPrivateKeyFile: pki(`${node.name}.key`) },
    ...{ clusterDNS: [NETWORK.api], clusterDomain: 'cluster.local' },
    ...{ imageGCHighThresholdPercent: 100, evictionHard: { 'memory.available': '100Mi' } },
    ...{
      volumePluginDir: at('volume-plugins'),
      podLogsDir: at('podlogs'),
      serializeImagePulls: false,
      nodeLeaseDurationSeconds: 8,
    },
    ...{ nodeStatusUpdateFrequency: '2s', syncFrequency: '5s', configMapAndSecretChangeDetectionStrategy: 'Watch' },
  };
  const file = at('kubelet.json');
  writeFileSync(file, JSON.stringify(config));
  return {
    program: binary('kubelet'),
    args: [
      ...[
        `--config=${file}`,
        `--kubeconfig=${layout.kubeconfig(nodeUser(node.name).name)}`,
        `--hostname-override=${node.name}`,
      ],
      ...[`--node-ip=${node.ip}`, `--root-dir=${at('kubelet')}`, `--cert-dir=${at('kubelet', 'pki')}`],
    ],
  };
}
