import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { PORTS } from '../../contract/labels.ts';
import type { HeartbeatRecord } from '../../contract/records.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { createCallMetrics } from '../../worker/calls/metrics.ts';
import { createHttpMetrics } from '../../worker/routes/http_metrics.ts';
import { createVoiceMetrics } from '../../worker/voice/metrics.ts';

/** The metrics page of each fake worker, on a loopback address of its own: as long as a real one, with the figures of its heartbeat. */
export class FakeTelemetry {
  readonly #servers: Server[] = [];
  #page = '';

  async listen(address: string, figures: () => HeartbeatRecord): Promise<void> {
    this.#page ||= await realPage();
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(this.#page + gauges(figures()));
    });
    this.#servers.push(server);
    server.listen(PORTS.internal, address);
    await once(server, 'listening');
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

/** What the parts of a worker export besides, before its first call. */
async function realPage(): Promise<string> {
  const registry = createRegistry({ processMetrics: true });
  createCallMetrics(registry);
  createHttpMetrics(registry);
  createVoiceMetrics(registry);
  return `${await registry.metrics()}\n`;
}

function gauges(beat: HeartbeatRecord): string {
  return [
    `rtvoice_worker_info{worker="${beat.worker}",incarnation="${beat.incarnation}"} 1`,
    `rtvoice_active_calls ${beat.activeCalls}`,
    `rtvoice_call_capacity ${beat.slots}`,
    `rtvoice_worker_memory_bytes ${beat.memoryBytes}`,
    `rtvoice_worker_memory_baseline_bytes ${beat.memoryBaselineBytes}`,
    `rtvoice_worker_memory_limit_bytes ${beat.memoryLimitBytes}`,
    `rtvoice_relayed_sockets ${beat.relayedSockets}`,
    `rtvoice_unsent_records ${beat.unsentRecords}`,
    '',
  ].join('\n');
}
