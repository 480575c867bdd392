import assert from 'node:assert/strict';
import { STORES } from '../support/e2e/parts.ts';
import { assertNoneCut, stories } from '../support/e2e/story.ts';

const POOL = 'desk';

stories('stores and speech', {
  'a Redis that is stopped for 45 s and comes back empty costs no call and no word': async ({ fleet, ns }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 70, pauseMs: 1_000 }, 8);
    await fleet.untilAnswered(calls, 2);
    await fleet.kubectl.run(['scale', '-n', STORES, 'deployment/redis', '--replicas=0']);
    await fleet.untilPool(ns, POOL, 'says so', ({ redis }) => redis === 'Unavailable');
    await new Promise((resolve) => setTimeout(resolve, 45_000));
    await fleet.kubectl.run(['scale', '-n', STORES, 'deployment/redis', '--replicas=1']);
    await fleet.untilPool(
      ns,
      POOL,
      'has its leases again',
      ({ redis, activeCalls }) => redis === 'Available' && activeCalls === 8,
    );
    const after = await fleet.place(ns, POOL, { turns: 3, pauseMs: 500 }, 4);
    await assertNoneCut(fleet, [...calls, ...after]);
    const status = await fleet.untilPool(ns, POOL, 'is well', ({ phase }) => phase === 'Ready');
    assert.equal(status.readyWorkers, 2);
  },

  'what only the controller can see becomes a condition and an event, and running workers are left alone': async ({
    fleet,
    ns,
  }) => {
    await fleet.addPool(ns, POOL);
    const calls = await fleet.place(ns, POOL, { turns: 15, pauseMs: 1_000 }, 4);
    await fleet.untilAnswered(calls, 1);
    const patch = (spec: object) =>
      fleet.kubectl.run(['patch', '-n', ns, `vwp/${POOL}`, '--type=merge', '-p', JSON.stringify({ spec })]);
    await patch({ secretName: 'not-there' });
    const missing = await fleet.untilPool(ns, POOL, 'misses its Secret', ({ conditions }) =>
      conditions.some(({ type, reason }) => type === 'ConfigurationInvalid' && reason === 'SecretMissing'),
    );
    assert.match(
      missing.conditions.find(({ type }) => type === 'ConfigurationInvalid')?.message ?? '',
      /Secret .*not-there; make it/,
    );
    await patch({ secretName: 'rtvoice' });
    await fleet.untilPool(ns, POOL, 'has it again', ({ phase }) => phase === 'Ready');
    await assertNoneCut(fleet, calls);
    assert.match(await fleet.kubectl.run(['describe', '-n', ns, `vwp/${POOL}`]), /Warning\s+ConfigurationInvalid/);
  },

  'two callers speak, are understood and answered': async ({ fleet, ns }) => {
    const voice = { backend: 'Offline', dialogue: 'builtin:example' };
    const worker = { memoryLimitMiB: 1024 };
    await fleet.addPool(ns, POOL, { minWorkers: 1, voice, worker });
    const ringUrl = fleet.ringUrl(ns, POOL);
    const script = [
      { kind: 'waitForAnswer' as const },
      { kind: 'say' as const, text: 'what are your opening hours' },
      { kind: 'waitForAnswer' as const },
      { kind: 'hangUp' as const },
    ];
    const ids = await Promise.all([1, 2].map(() => fleet.azure().placeCall({ ringUrl, script })));
    for (const id of ids) {
      for await (const event of fleet.azure().events(id)) if (event.type === 'ended') break;
      const record = await fleet.azure().call(id);
      assert.deepEqual(
        record.turns.map(({ spoken, answered }) => [spoken, answered]),
        [['what are your opening hours', true]],
      );
    }
  },
});
