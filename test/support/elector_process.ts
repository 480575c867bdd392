import { KubeClient } from '../../controller/kube/client.ts';
import { kubeEndpoint } from '../../controller/kube/credentials.ts';
import { LeaderElector } from '../../controller/kube/leader.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import { systemClock } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';

/** A candidate in a process of its own: `elector_process.ts <kubeconfig> <identity>`. Prints `lead` and `stop`; SIGTERM ends it in order. */
const [kubeconfig = '', identity = ''] = process.argv.slice(2);
const log = createLog({ process: identity });
const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
const shared = { clock: systemClock, log, metrics };
const client = new KubeClient({ ...shared, endpoint: await kubeEndpoint('', kubeconfig) });
const elector = new LeaderElector({
  ...{ ...shared, client, random: systemRandom, namespace: 'default', name: 'election', identity },
  onStarted: ({ leaseTransitions }) => void process.stdout.write(`lead ${leaseTransitions}\n`),
  onStopped: () => void process.stdout.write('stop\n'),
});
elector.start();
const alive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(alive);
  void elector.release().then(() => client.close());
});
