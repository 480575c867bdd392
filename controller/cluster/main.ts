import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import { createLog } from '../../platform/log.ts';
import { runClusterController } from './cluster.ts';
import { CLUSTER_SETTINGS } from './settings.ts';

const log = createLog({ process: 'controller', level: process.env.RTVOICE_LOG_LEVEL ?? 'info' });
try {
  const config = loadConfig(CLUSTER_SETTINGS, process.env);
  await runClusterController({ config, clock: systemClock, log });
} catch (error) {
  if (!(error instanceof RtvoiceError)) throw error;
  log.fatal({ code: error.code, remedy: error.remedy }, error.message);
  process.exit(2);
}
