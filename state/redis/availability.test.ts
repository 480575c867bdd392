import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Availability, isAvailable } from './availability.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import type { RedisNode } from './connection.ts';

/** Nodes whose breakers feed one availability, as the client wires them. */
function shards(count: number) {
  const availability = new Availability();
  const events: string[] = [];
  const nodes: RedisNode[] = [];
  const tell = (event: string | undefined) => {
    if (event !== undefined) events.push(event);
  };
  for (let index = 0; index < count; index++) {
    const onChange = (change: { state: BreakerState; previous: BreakerState }) => {
      if (change.state === 'open' && change.previous === 'closed') tell(availability.lost());
      tell(availability.checked(nodes, change.state === 'closed'));
    };
    nodes.push({ name: `n${index}`, breaker: new Breaker({ initial: 'open', onChange }), proven: false });
  }
  const answer = (index: number) => {
    const node = nodes[index];
    if (!node) return;
    node.proven = true;
    node.breaker.answered();
    node.breaker.answered();
  };
  const fail = (index: number) => nodes[index]?.breaker.failed('no answer');
  const round = () => tell(availability.roundEnded(nodes));
  return { events, nodes, answer, fail, round };
}

test('one server: up at its first answers, then down and up in turn', () => {
  const { events, answer, fail, round } = shards(1);
  fail(0);
  assert.deepEqual(events, []);
  answer(0);
  fail(0);
  fail(0);
  round();
  answer(0);
  round();
  assert.deepEqual(events, ['up', 'down', 'up']);
});

test('shards: up once all answer; one lost shard is down, and available stays', () => {
  const { events, nodes, answer, fail, round } = shards(3);
  for (const index of [0, 1, 2]) answer(index);
  round();
  assert.deepEqual(events, ['up']);
  fail(1);
  round();
  assert.deepEqual(events, ['up', 'down']);
  assert.equal(isAvailable(nodes), true);
  answer(1);
  assert.deepEqual(events, ['up', 'down', 'up']);
});

test('a shard that returns while another stays lost is told at the end of the round', () => {
  const { events, answer, fail, round } = shards(3);
  for (const index of [0, 1, 2]) answer(index);
  fail(0);
  fail(1);
  round();
  answer(1);
  assert.deepEqual(events, ['up', 'down']);
  round();
  assert.deepEqual(events, ['up', 'down', 'up']);
  round();
  assert.deepEqual(events, ['up', 'down', 'up']);
  answer(0);
  assert.deepEqual(events, ['up', 'down', 'up', 'up']);
});

test('whatever happens, after the last shard has returned an up follows its loss', () => {
  const step = fc.record({ kind: fc.constantFrom('answer', 'fail', 'round'), index: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { events, nodes, answer, fail, round } = shards(3);
      let lostAt = -1;
      for (const { kind, index } of steps) {
        const closed = nodes[index]?.breaker.state === 'closed';
        if (kind === 'answer') answer(index);
        else if (kind === 'round') round();
        else {
          if (closed) lostAt = events.length;
          fail(index);
        }
      }
      for (const index of [0, 1, 2]) answer(index);
      assert.ok(events.lastIndexOf('up') >= Math.max(0, lostAt), `${events}`);
      assert.ok(events.every((event, at) => event !== 'down' || events[at - 1] === 'up' || at === 0));
    }),
  );
});
