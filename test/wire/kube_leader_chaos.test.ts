import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { seededRandom } from '../../platform/random.ts';
import { candidate, type Fate, LeaseServer } from '../support/lease_server.ts';
import { RigClock } from '../support/scripted_api.ts';

/** Three candidates on one clock, and a network that loses, delays and doubles what they say. */

for (let seed = 1; seed <= 8; seed++) {
  test(`whatever the network does, no two lead at once, and somebody leads when it is whole again (seed ${seed})`, async () => {
    const server = await LeaseServer.start();
    const random = seededRandom(seed);
    const clock = new RigClock();
    const numbers: number[] = [];
    const onStarted = (term: { leaseTransitions: number }) => void numbers.push(term.leaseTransitions);
    const all = ['a', 'b', 'c'].map((identity) => candidate(server, identity, { clock, random, onStarted }));
    const fates: Fate[] = ['served', 'served', 'served', 'lost', 'unanswered', 'hangs', 'refused'];
    let cut = '';
    server.fate = (identity) =>
      identity === cut ? 'lost' : (fates[Math.floor(random.fraction() * fates.length)] ?? 'served');
    try {
      for (const { elector } of all) elector.start();
      const step = async () => {
        clock.advance(250);
        for (let i = 0; i < 4; i++) await setImmediate();
        const leaders = all.filter(({ elector }) => elector.isLeader).map(({ identity }) => identity);
        assert.ok(leaders.length <= 1, `${leaders.join(' and ')} lead`);
        return leaders.length;
      };
      for (let i = 0; i < 600; i++) {
        // For half a minute one of them is cut off, then another.
        if (i % 120 === 0) cut = all[Math.floor(random.fraction() * all.length)]?.identity ?? '';
        await step();
        if (random.fraction() < 0.2) server.release();
      }
      server.fate = () => 'served';
      server.release();
      while ((await step()) === 0);
      assert.ok(numbers.length > 0);
      assert.deepEqual(
        numbers,
        [...new Set(numbers)].sort((x, y) => x - y),
        'the numbers of the terms rise',
      );
    } finally {
      server.fate = () => 'served';
      server.release();
      await Promise.all(all.map(({ elector, client }) => elector.release().then(() => client.close())));
      await server[Symbol.asyncDispose]();
    }
  });
}
