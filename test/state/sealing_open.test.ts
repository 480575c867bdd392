import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { plainCodec } from '../../state/envelope.ts';
import { openSealing, type Sealing } from '../../state/sealing/open_sealing.ts';
import { SEALING_SETTINGS } from '../../state/sealing/sealing_settings.ts';
import { type SealingBench, startSealing } from './sealing_bench.ts';

let bench: SealingBench;
before(async () => {
  bench = await startSealing();
});
after(() => bench.stop());

const SESSION = { callRef: 'r', from: '4:+15550100' };
const ref = { kind: 'session', id: 'call-1' } as const;

function open(env: Record<string, string>): Promise<Sealing> {
  return openSealing({
    config: loadConfig(SEALING_SETTINGS, env),
    blindIndex: bench.blindIndex,
    redis: bench.client,
    keys: bench.keys,
    database: bench.database,
    credential: () => Promise.reject(new Error('no vault is named')),
    clock: systemClock,
    log: silentLog,
    registry: createRegistry({ processMetrics: false }),
  });
}

test('without settings nothing is sealed, and sealing without keys is a fault of the settings', async () => {
  const off = await open({});
  assert.equal(off.codec, plainCodec);
  assert.equal(off.keys, undefined);
  await off.prepare('call-1', '4:+15550100');
  await assert.rejects(open({ RTVOICE_SEALING_MODE: 'On' }), { code: 'ERR_CONFIG_INVALID' });
  await assert.rejects(open({ RTVOICE_KEY_RING: `${bench.ringPath}.none` }), { code: 'ERR_KEY_RING_INVALID' });
});

test('with a ring the settings give what seals, opens and keeps keys in both stores', async () => {
  const on = await open({ RTVOICE_SEALING_MODE: 'On', RTVOICE_KEY_RING: bench.ringPath });
  await on.prepare('call-1', SESSION.from);
  const text = await on.codec.seal(ref, SESSION);
  assert.ok(!text.includes('15550100'));
  const off = await open({ RTVOICE_KEY_RING: bench.ringPath });
  assert.deepEqual(await off.codec.open(ref, text), SESSION);
  // What goes to the archive carries no key, and its key is where it lasts.
  assert.ok(text.includes('"wk"') && !(await on.archiveCodec.seal(ref, SESSION)).includes('"wk"'));
  assert.equal(bench.cosmos.documents('rtvoice', 'keys').length, 1);
});
