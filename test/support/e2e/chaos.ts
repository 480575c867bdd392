/** What a story does to the machines under a cluster. Undefined steps are those that a kind of cluster cannot do. */
export interface Machines {
  /** Nodes that are not the system node. */
  readonly workerNodes: readonly string[];
  /** The kubelet ends; containers go on. */
  killKubelet(node: string): Promise<void>;
  startKubelet(node: string): Promise<void>;
  /** Every process of the node ends at once, containers included. */
  killNode(node: string): Promise<void>;
  /** The node comes back empty. */
  startNode(node: string): Promise<void>;
  /** API server and etcd end; nothing else does. */
  stopControlPlane(): Promise<void>;
  startControlPlane(): Promise<void>;
  /** Process ids on the node whose command line matches, innermost namespace first. */
  signal(
    node: string,
    pod: { namespace: string; name: string },
    name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL',
  ): Promise<void>;
}
