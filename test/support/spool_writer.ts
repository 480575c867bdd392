/** `spool_writer.ts PARENT CALL`: spools turns of a call until it is killed or refused; one line for each that counts as kept. */

import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { encodeRecord } from '../../state/envelope.ts';
import { readSpool, spoolFolder } from '../../state/spool/folders.ts';
import { SpoolMetrics } from '../../state/spool/metrics.ts';
import { Spool } from '../../state/spool/spool.ts';

const [parent = '', callConnectionId = ''] = process.argv.slice(2);
const directory = spoolFolder(parent, systemRandom.id(12));
const metrics = new SpoolMetrics(createRegistry({ processMetrics: false }));
const spool = new Spool({ directory, maxBytes: 2 ** 30, log: silentLog, metrics });

async function keep(n: number): Promise<string> {
  const entryId = `turn-${String(n).padStart(6, '0')}`;
  const text = encodeRecord({ seq: n, role: 'caller', text: 'x'.repeat(2_000), atMs: n });
  const ids = {
    callConnectionId,
    callRef: `ref${callConnectionId.replace('-', '')}`,
    entryId,
    dedupeId: `${entryId}#x`,
  };
  await spool.keep([{ ...ids, kind: 'turn', text }]);
  return entryId;
}

const kept: string[] = [];
for (let n = 1; ; n++) {
  try {
    kept.push(await keep(n));
    process.stdout.write(`kept ${kept.at(-1)}\n`);
  } catch (error) {
    const { records } = await readSpool(directory);
    const same = JSON.stringify(records.map(({ entryId }) => entryId)) === JSON.stringify(kept);
    process.stdout.write(`refused ${same && !spool.admits ? (error as { code: string }).code : 'lost records'}\n`);
    break;
  }
}
// Until it is killed: its folder must not count as abandoned before.
setInterval(() => undefined, 1_000);
