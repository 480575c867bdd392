import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { RtvoiceError } from '../platform/errors.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import { createLog } from '../platform/log.ts';
import { startWorker } from './assemble.ts';
import { WORKER_SETTINGS } from './settings.ts';

const log = createLog({ process: 'worker', level: process.env.RTVOICE_LOG_LEVEL ?? 'info' });
try {
  const config = loadConfig(WORKER_SETTINGS, process.env);
  const lifecycle = new Lifecycle(systemClock, log);
  const worker = await startWorker(config, log);
  // Calls end when their callers end them: there is no deadline here. Whoever must have one says so by `POST /drain` or by SIGKILL.
  lifecycle.onStop('calls', Number.POSITIVE_INFINITY, () => worker.drainAndStop());
  lifecycle.exitOnSignals();
} catch (error) {
  if (!(error instanceof RtvoiceError)) throw error;
  log.fatal({ code: error.code, remedy: error.remedy }, error.message);
  process.exit(2);
}
