import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { turnId } from '../../state/calls/record_ids.ts';
import { type ArchiveBench, answeredCall, newArchiver, oversized, startArchive } from './archive_bench.ts';
import { newCallId } from './support.ts';

let bench: ArchiveBench;
before(async () => {
  bench = await startArchive();
});
after(() => bench.stop());

const fault = fc.oneof(
  fc.record({ kind: fc.constant('batch' as const), at: fc.nat(6), status: fc.constantFrom(449, 503, 429) }),
  fc.record({ kind: fc.constant('whole' as const), status: fc.constantFrom(408, 413, 449, 503) }),
  fc.record({ kind: fc.constantFrom('replyLost' as const, 'throttle' as const, 'down' as const, 'none' as const) }),
);
const drain = fc.record({ turns: fc.integer({ min: 1, max: 7 }), poison: fc.boolean(), fault });

type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never;

function cause(trouble: Fault): void {
  const { faults } = bench.simulator;
  switch (trouble.kind) {
    case 'batch':
      faults.batchFailure = { at: trouble.at, status: trouble.status, times: 1 };
      return;
    case 'whole':
      // A document that is too large alone is one for the quarantine.
      faults.failures = [
        { status: trouble.status, times: 2, operations: trouble.status === 413 ? ['batch'] : ['batch', 'create'] },
      ];
      return;
    case 'replyLost':
      faults.replyLost = 2;
      return;
    case 'throttle':
      faults.throttle = 8;
      return;
    case 'down':
      faults.down = true;
      return;
    case 'none':
  }
}

test('turns that are archived many at a time are each there once or quarantined, whatever happens to a batch', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(drain, { minLength: 1, maxLength: 5 }), async (drains) => {
      await bench.leases.begin();
      await bench.leases.worker('w-a', 50);
      const call = newCallId();
      const own = newArchiver(bench, 'w-a', { archive: oversized(bench.archive, 'poison') });
      own.start();
      const { manager } = await answeredCall(bench, call, own);
      const said = new Map<string, string>();
      for (const { turns, poison, fault: trouble } of drains) {
        cause(trouble);
        for (let n = 0; n < turns; n++) {
          const text = poison && n === turns >> 1 ? 'poison' : `text ${said.size}`;
          said.set(turnId(manager.appendToHistory('caller', text).seq), text);
        }
        await manager.persist();
        // Away until the next words are stored, so that they gather in the stream.
        bench.simulator.faults.down = false;
      }
      await own.until(() => own.archived.size + own.quarantined.size === said.size);
      await own.stop();
      Object.assign(bench.simulator.faults, { batchFailure: undefined, failures: [], replyLost: 0, throttle: 0 });
      const archived = (await bench.archive.readCall(call)).turns;
      const quarantined = await bench.stream.quarantined(call);
      assert.deepEqual([...archived, ...quarantined].map(({ id }) => id).sort(), [...said.keys()]);
      for (const { id, text } of archived) assert.equal(text, said.get(id));
      assert.ok(quarantined.every(({ id }) => said.get(id) === 'poison'));
    }),
    { numRuns: 10 },
  );
});
