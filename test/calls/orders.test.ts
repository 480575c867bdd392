import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { CallEvent, MediaEnd } from '../../worker/ports.ts';
import { AcsFarEnd, type CallsWorker, ring, SocketEnd, startCallsWorker, until } from '../support/calls_worker.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis[Symbol.asyncDispose]());

type Step =
  | { kind: 'event'; type: string }
  | { kind: 'again'; of: number }
  | { kind: 'media' }
  | { kind: 'mediaLost' }
  | { kind: 'turn' }
  | { kind: 'takeover' };

const EVENTS = ['CallConnected', 'ParticipantsUpdated', 'MediaStreamingStarted', 'SomethingNew'];

const steps = fc
  .tuple(
    fc.shuffledSubarray(
      [
        ...EVENTS.map((type): Step => ({ kind: 'event', type })),
        ...Array.from({ length: 4 }, (): Step => ({ kind: 'turn' })),
      ],
      { minLength: 8 },
    ),
    fc.array(fc.record({ at: fc.nat(20), of: fc.nat(20) }), { maxLength: 5 }),
    fc.array(fc.nat(20), { maxLength: 2 }),
    fc.array(fc.nat(20), { maxLength: 2 }),
  )
  .map(([base, repeats, losses, takeovers]) => {
    const plan: Step[] = [...base];
    for (const { at, of } of repeats) plan.splice(at % (plan.length + 1), 0, { kind: 'again', of });
    for (const at of losses) plan.splice(at % (plan.length + 1), 0, { kind: 'mediaLost' });
    for (const at of takeovers) plan.splice(at % (plan.length + 1), 0, { kind: 'takeover' });
    return plan;
  });

/** One call driven through a plan on two workers; what both ends of it must show at the end is the same for every plan. */
class Drive {
  readonly sent: CallEvent[] = [];
  readonly said: string[] = [];
  readonly workers: CallsWorker[];
  owner: CallsWorker;
  callRef = '';
  callConnectionId = '';
  end: MediaEnd | undefined;

  constructor(workers: CallsWorker[], owner: CallsWorker) {
    this.workers = workers;
    this.owner = owner;
  }

  async event(type: string): Promise<void> {
    const event: CallEvent = {
      id: `e${this.sent.length}`,
      source: 'calling',
      type,
      timeMs: undefined,
      data: { callConnectionId: this.callConnectionId },
    };
    this.sent.push(event);
    await this.owner.host.applyEvents(this.callRef, [event]);
  }

  media(): void {
    this.end = this.owner.host.openMedia(this.callRef, new SocketEnd(), {
      callConnectionId: this.callConnectionId,
      correlationId: 'x',
    });
    assert.ok(this.end, 'the owner takes media');
  }

  async turn(): Promise<void> {
    if (!this.end) this.media();
    const text = `turn ${this.said.length + 1}`;
    assert.ok(this.owner.voice.turn(this.callRef, text));
    this.said.push(text, `re: ${text}`);
    await this.owner.host.registry.get(this.callRef)?.record.settle();
  }

  /** The owner is as good as dead: nothing of it is asked any more, and another takes the call from what Redis has. */
  async takeover(): Promise<void> {
    const lease = await this.owner.leases.find(this.callRef);
    assert.ok(lease);
    const before = this.owner;
    this.owner = this.workers.find((worker) => worker !== before) ?? before;
    assert.equal(await this.owner.host.takeOver(lease, { kind: 'mediaUpgrade' }), 'here');
    this.end = undefined;
    await before.host.recovery.renew();
    assert.equal(before.host.registry.get(this.callRef), undefined, 'the old owner was told that it lost the call');
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'event') return this.event(step.type);
    if (step.kind === 'turn') return this.turn();
    if (step.kind === 'takeover') return this.takeover();
    if (step.kind === 'media') return this.media();
    if (step.kind === 'mediaLost') {
      this.end?.closed(1006);
      this.end = undefined;
      return;
    }
    const again = this.sent[step.of % Math.max(1, this.sent.length)];
    if (again) await this.owner.host.applyEvents(this.callRef, [again]);
  }
}

test('a call ends in the same state whatever the order and number of its events, sockets and takeovers', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      await redis.flush();
      const acs = new AcsFarEnd();
      const first = await startCallsWorker({ redisUrl: redis.url, acs });
      const second = await startCallsWorker({ redisUrl: redis.url, acs });
      try {
        await runPlan(plan, acs, first, second);
      } finally {
        await first[Symbol.asyncDispose]();
        await second[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 25 },
  );
});

async function runPlan(plan: readonly Step[], acs: AcsFarEnd, first: CallsWorker, second: CallsWorker): Promise<void> {
  assert.equal(await first.host.ring(ring()), 'accepted');
  // Hand-off needs listeners; a call placed on the other worker is found by its own renewal, as after a lost hand-off.
  const lease = await placedLease(first, second);
  const drive = new Drive([first, second], lease.worker === first.worker ? first : second);
  drive.callRef = lease.callRef;
  drive.callConnectionId = acs.answers[0]?.callConnectionId ?? '';
  for (const step of plan) await drive.run(step);
  await drive.event('CallDisconnected');
  await drive.event('CallConnected');
  await until(async () => (await first.leases.find(drive.callRef)) === undefined, 'the lease is released');
  const final = await first.store.read(drive.callConnectionId);
  assert.deepEqual(
    final.history.map((entry) => entry.text),
    drive.said,
  );
  assert.deepEqual(
    final.history.map((entry) => entry.seq),
    drive.said.map((_, index) => index + 1),
  );
  assert.equal(final.session?.state, 'ended');
  const ids = final.unarchived.map((entry) => entry.id);
  assert.equal(new Set(ids).size, ids.length, 'no record twice');
  assert.equal(ids.filter((id) => id === 'summary').length, 1);
  assert.equal(acs.answers.length, 1, 'answered once');
}

async function placedLease(first: CallsWorker, second: CallsWorker) {
  let found = first.host.registry.live()[0] ?? second.host.registry.live()[0];
  await until(async () => {
    await second.host.recovery.renew();
    found = first.host.registry.live()[0] ?? second.host.registry.live()[0];
    return found?.callConnectionId !== undefined;
  }, 'the call is on one of the workers');
  const lease = await first.leases.find(found?.ref ?? '');
  assert.ok(lease);
  return lease;
}
