import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../platform/log.ts';
import { ManualClock } from '../../../platform/manual_clock.ts';
import type { Node } from '../../kube/objects.ts';
import { NodeStates, RETURN_MS, SETTLE_MS } from './node_states.ts';

type Ready = 'True' | 'Unknown';

/** Nodes as a watch would bring them. */
function rig(names: readonly string[]) {
  const clock = new ManualClock();
  const nodes = new Map<string, Node>();
  let listener: (old: Node | undefined, now: Node | undefined) => void = () => undefined;
  const changed: string[] = [];
  const informer = {
    get: (_namespace: string | undefined, name: string) => nodes.get(name),
    list: () => [...nodes.values()],
    onChange: (given: typeof listener) => {
      listener = given;
      return () => undefined;
    },
  };
  const states = new NodeStates({ nodes: informer, clock, log: silentLog, onChange: (name) => changed.push(name) });
  const say = (name: string, ready: Ready) => {
    const node = { metadata: { name }, status: { conditions: [{ type: 'Ready', status: ready }] } } as unknown as Node;
    const old = nodes.get(name);
    nodes.set(name, node);
    listener(old, node);
  };
  for (const name of names) say(name, 'True');
  changed.length = 0;
  return { clock, states, say, changed };
}

describe('states of nodes', () => {
  it('a silent node is unreachable once it has been so for a while, and usable at once when it is back', () => {
    const { clock, states, say, changed } = rig(['n1', 'n2']);
    say('n1', 'Unknown');
    assert.equal(states.of('n1'), 'usable');
    clock.advance(SETTLE_MS);
    assert.deepEqual([states.of('n1'), states.of('n2')], ['unreachable', 'usable']);
    assert.deepEqual(changed, ['n1', 'n1'], 'those who look at it are told when it falls silent and when it counts');
    say('n1', 'True');
    assert.equal(states.of('n1'), 'usable');
  });

  it('one whose sign of life comes again in time was never silent', () => {
    const { clock, states, say } = rig(['n1', 'n2']);
    say('n1', 'Unknown');
    clock.advance(SETTLE_MS - 1);
    say('n1', 'True');
    say('n1', 'Unknown');
    clock.advance(SETTLE_MS - 1);
    assert.equal(states.of('n1'), 'usable');
  });

  it('all silent, one after the other, is trouble of the control plane until one is heard again', () => {
    const { clock, states, say, changed } = rig(['n1', 'n2']);
    say('n1', 'Unknown');
    clock.advance(SETTLE_MS - 100);
    say('n2', 'Unknown');
    clock.advance(SETTLE_MS);
    assert.deepEqual([states.of('n1'), states.of('n2')], ['unheard', 'unheard']);
    say('n2', 'True');
    clock.advance(RETURN_MS - 1);
    assert.deepEqual([states.of('n1'), states.of('n2')], ['unheard', 'usable'], 'the other is given time to come back');
    changed.length = 0;
    clock.advance(1);
    assert.equal(states.of('n1'), 'unreachable');
    assert.deepEqual(changed, ['n1']);
  });

  it('a node that is gone is like one that is silent', () => {
    const { clock, states } = rig(['n1']);
    assert.equal(states.of('n9'), 'usable');
    clock.advance(SETTLE_MS);
    assert.equal(states.of('n9'), 'unreachable');
  });
});
