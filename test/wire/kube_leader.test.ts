import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Candidate, candidate, FOLLOWER_MS, LEADER_MS, LeaseServer } from '../support/lease_server.ts';
import { RigClock } from '../support/scripted_api.ts';

/** The election over HTTP, with a Lease that obeys the API server's rule. Each candidate's clock stands still unless the test moves it. */

let server: LeaseServer;
const candidates: Candidate[] = [];
beforeEach(async () => {
  server = await LeaseServer.start();
});
afterEach(async () => {
  server.fate = () => 'served';
  for (const { elector, client } of candidates.splice(0)) {
    await Promise.all([elector.release(), client.close()]);
  }
  await server[Symbol.asyncDispose]();
});

function enter(...args: Parameters<typeof candidate> extends [LeaseServer, ...infer Rest] ? Rest : never): Candidate {
  const one = candidate(server, ...args);
  candidates.push(one);
  return one;
}

const holder = () => server.lease?.spec?.holderIdentity;
const number = () => server.lease?.spec?.leaseTransitions;

/** One that leads, after its first try. */
async function leading(...args: Parameters<typeof enter>): Promise<Candidate> {
  const one = enter(...args);
  one.elector.start();
  await one.clock.timer(LEADER_MS);
  assert.match(await one.events.next(), /^lead/);
  return one;
}

async function following(...args: Parameters<typeof enter>): Promise<Candidate> {
  const one = enter(...args);
  one.elector.start();
  await one.clock.timer(FOLLOWER_MS);
  return one;
}

/** The next try, to its end. */
async function tick({ clock }: Candidate, waitMs = LEADER_MS, nextMs = waitMs): Promise<void> {
  clock.advance(waitMs);
  await clock.timer(nextMs);
}

test('of two the first leads, and writes what other candidates of the cluster understand', async () => {
  const a = await leading('a');
  const b = await following('b');
  assert.deepEqual([a.elector.isLeader, b.elector.isLeader], [true, false]);
  const time = '2026-01-01T00:00:00.000000Z';
  assert.deepEqual(server.lease?.spec, {
    ...{ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 },
    ...{ acquireTime: time, renewTime: time },
  });
  await tick(a);
  const { acquireTime, renewTime, leaseTransitions } = server.lease?.spec ?? {};
  assert.deepEqual([acquireTime, renewTime, leaseTransitions], [time, '2026-01-01T00:00:02.000000Z', 0]);
  assert.match(await a.registry.metrics(), /leader_election_master_status{name="lead"} 1/);
  assert.match(await b.registry.metrics(), /leader_election_master_status{name="lead"} 0/);
});

for (const [name, wallMs] of [
  ['an hour ahead', Date.UTC(2026, 0, 1, 1)],
  ['an hour behind', Date.UTC(2025, 11, 31, 23)],
] as const) {
  test(`a leader that is gone is followed after 15 s, by a candidate whose clock is ${name}`, async () => {
    const a = await leading('a');
    await a.client.close();
    const b = await following('b', { clock: new RigClock(wallMs) });
    for (let ms = FOLLOWER_MS; ms <= 15_000; ms += FOLLOWER_MS) {
      await tick(b, FOLLOWER_MS);
      assert.equal(b.elector.isLeader, false, `after ${ms} ms`);
    }
    await tick(b, FOLLOWER_MS, LEADER_MS);
    assert.deepEqual([b.elector.isLeader, holder(), await b.events.next()], [true, 'b', 'lead 1']);
  });
}

test('a leader that renews is never followed', async () => {
  const a = await leading('a');
  const b = await following('b');
  for (let i = 0; i < 12; i++) {
    await tick(a);
    await tick(b, FOLLOWER_MS);
  }
  assert.deepEqual([a.elector.isLeader, b.elector.isLeader, holder()], [true, false, 'a']);
});

for (const fate of ['hangs', 'refused', 'lost'] as const) {
  test(`a leader whose renewals are ${fate} stops after 10 s, before another may lead`, async () => {
    const a = await leading('a');
    const b = await following('b');
    server.fate = (identity) => (identity === 'a' ? fate : 'served');
    a.clock.advance(9_999);
    assert.equal(a.elector.isLeader, true);
    a.clock.advance(1);
    assert.equal(a.elector.isLeader, false);
    assert.equal(await a.events.next(), 'stop it could not be renewed for 10000 ms');
    for (let ms = FOLLOWER_MS; ms <= 15_000; ms += FOLLOWER_MS) await tick(b, FOLLOWER_MS);
    assert.equal(b.elector.isLeader, false);
    await tick(b, FOLLOWER_MS, LEADER_MS);
    assert.equal(b.elector.isLeader, true);
  });
}

test('the deadline counts from when a renewal was sent, not from its late answer', async () => {
  const a = await leading('a');
  server.fate = () => 'hangs';
  a.clock.advance(LEADER_MS);
  while (server.held.length === 0) await setImmediate();
  a.clock.advance(4_000);
  server.fate = () => 'served';
  server.release();
  await a.clock.timer(LEADER_MS);
  server.fate = () => 'hangs';
  a.clock.advance(5_999);
  assert.equal(a.elector.isLeader, true);
  a.clock.advance(1);
  assert.equal(a.elector.isLeader, false);
});

test('a leader that could not renew leads again when it can, with a higher number', async () => {
  const a = await leading('a');
  server.fate = () => 'refused';
  a.clock.advance(10_000);
  assert.match(await a.events.next(), /^stop/);
  server.fate = () => 'served';
  for (let i = 0; a.events.count === 0 && i < 50; i++) {
    a.clock.advance(FOLLOWER_MS);
    await setImmediate();
    await setImmediate();
  }
  assert.equal(await a.events.next(), 'lead 1');
});

test('a Lease given back is taken at the next try', async () => {
  const a = await leading('a');
  const b = await following('b');
  await a.elector.release();
  assert.deepEqual([a.elector.isLeader, holder()], [false, '']);
  await tick(b, FOLLOWER_MS, LEADER_MS);
  assert.deepEqual([b.elector.isLeader, await b.events.next()], [true, 'lead 1']);
  a.clock.advance(60_000);
  await tick(b);
  assert.equal(holder(), 'b', 'one that has left does not come back');
});

test('a Lease is given back also when the answer to the last renewal was lost', async () => {
  const a = await leading('a');
  server.fate = () => 'unanswered';
  await tick(a);
  server.fate = () => 'served';
  await a.elector.release();
  assert.equal(holder(), '');
});

test('a candidate that leaves while it takes the Lease gives it back', async () => {
  const a = enter('a');
  server.fate = (_identity, method) => (method === 'POST' ? 'hangs' : 'served');
  a.elector.start();
  while (server.held.length === 0) await setImmediate();
  const left = a.elector.release();
  server.release();
  await left;
  assert.deepEqual([holder(), a.elector.isLeader, a.events.count], ['', false, 0]);
});

test('a renewal whose answer was lost costs nothing', async () => {
  const a = await leading('a');
  server.fate = () => 'unanswered';
  await tick(a);
  server.fate = () => 'served';
  await tick(a);
  await tick(a);
  assert.deepEqual([a.elector.isLeader, a.events.count, number()], [true, 0, 0]);
});

test('a leader whose Lease somebody else has taken stops at once', async () => {
  const a = await leading('a');
  server.write({ holderIdentity: 'other', leaseTransitions: 7 });
  await tick(a, LEADER_MS, FOLLOWER_MS);
  assert.deepEqual([a.elector.isLeader, await a.events.next()], [false, 'stop another controller holds the Lease']);
  server.write({ holderIdentity: '' });
  await tick(a, FOLLOWER_MS, LEADER_MS);
  assert.equal(await a.events.next(), 'lead 8');
});

test('a note that somebody writes on the Lease costs the leader nothing', async () => {
  const a = await leading('a');
  server.write({});
  await tick(a);
  assert.deepEqual([a.elector.isLeader, a.events.count], [true, 0]);
});

test('a Lease that is deleted comes back with the number of the term', async () => {
  server.write({ holderIdentity: '', leaseTransitions: 4 });
  const a = await leading('a');
  server.lease = undefined;
  await tick(a);
  assert.deepEqual([a.elector.isLeader, a.events.count], [true, 0]);
  assert.deepEqual([holder(), number()], ['a', 5]);
});

test('a number that is too low is raised by a new term', async () => {
  const a = await leading('a');
  await a.elector.raise(41);
  assert.equal(await a.events.next(), 'stop a higher number is needed');
  await tick(a, LEADER_MS);
  assert.equal(await a.events.next(), 'lead 42');
});

test('a renewal under way when the number is raised does not begin the term again', async () => {
  const a = await leading('a');
  server.fate = () => 'hangs';
  a.clock.advance(LEADER_MS);
  while (server.held.length === 0) await setImmediate();
  await a.elector.raise(41);
  assert.match(await a.events.next(), /^stop/);
  server.fate = () => 'served';
  server.release();
  await a.clock.timer(FOLLOWER_MS);
  assert.equal(a.events.count, 0);
  await tick(a, FOLLOWER_MS, LEADER_MS);
  assert.equal(await a.events.next(), 'lead 42');
});

test('no term begins while the work of the one before still runs', async (context) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  context.after(() => resolve());
  const a = await leading('a', { onStopped: () => promise });
  server.fate = () => 'refused';
  a.clock.advance(10_000);
  assert.match(await a.events.next(), /^stop/);
  server.fate = () => 'served';
  for (let i = 0; i < 20; i++) {
    a.clock.advance(FOLLOWER_MS);
    await setImmediate();
  }
  assert.equal(a.events.count, 0);
  resolve();
  while (a.events.count === 0) {
    a.clock.advance(FOLLOWER_MS);
    // Turns for the request, which gives up by the same clock.
    for (let turn = 0; turn < 50; turn++) await setImmediate();
  }
  assert.equal(await a.events.next(), 'lead 1');
});

test('work that cannot be started or stopped is logged, and the election goes on', async () => {
  let faults = 1;
  const a = enter('a', {
    onStarted: () => {
      if (faults-- > 0) throw new Error('mine');
    },
    onStopped: () => Promise.reject(new Error('also mine')),
  });
  a.elector.start();
  await a.clock.timer(FOLLOWER_MS);
  assert.deepEqual([await a.events.next(), await a.events.next()], ['lead 0', 'stop its work could not be started']);
  assert.deepEqual(
    [(await a.warnings.next()).msg, (await a.warnings.next()).msg, (await a.warnings.next()).msg],
    [
      'the work of a leader could not be started',
      'this controller does not lead any more',
      'the work of a leader could not be stopped in order',
    ],
  );
  await tick(a, FOLLOWER_MS, LEADER_MS);
  assert.equal(await a.events.next(), 'lead 1');
});

test('two that begin at once agree on one', async () => {
  const [a, b] = [enter('a'), enter('b')];
  a.elector.start();
  b.elector.start();
  await Promise.race([a.clock.timer(LEADER_MS), b.clock.timer(LEADER_MS)]);
  await Promise.race([a.clock.timer(FOLLOWER_MS), b.clock.timer(FOLLOWER_MS)]);
  assert.equal([a, b].filter(({ elector }) => elector.isLeader).length, 1);
});
