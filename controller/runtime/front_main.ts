import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config.ts';
import { Lifecycle } from '../../platform/lifecycle.ts';
import { createLog } from '../../platform/log.ts';
import { identify } from '../../platform/processes.ts';
import { writeDurably } from './durable_file.ts';
import { Front } from './front.ts';
import { FRONT_SETTINGS } from './front_settings.ts';
import { FrontWorkers } from './front_workers.ts';
import { StateFolder } from './state_folder.ts';

const config = loadConfig(FRONT_SETTINGS, process.env);
const log = createLog({ process: 'front', level: config.logLevel });
const folder = new StateFolder(config.stateDir);
const workers = new FrontWorkers(folder, systemClock, log);
const front = new Front({ candidates: (route) => workers.candidates(route), log });
const lifecycle = new Lifecycle(systemClock, log);

workers.start();
const port = await front.listen(config.port);
// The port first: whoever sees the note of a live front may rely on it.
writeDurably(folder.frontPort, `${port}`);
writeDurably(folder.front, JSON.stringify({ ...identify(process.pid), port }));
log.info({ port }, 'front listens');

lifecycle.onStop('workers', 1_000, () => workers.close());
// A tunnel carries a live call: it is waited for, however long it takes.
lifecycle.onStop('tunnels', Number.POSITIVE_INFINITY, () => front.close());
lifecycle.exitOnSignals();
