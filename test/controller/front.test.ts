import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { Front } from '../../controller/runtime/front.ts';
import { silentLog } from '../../platform/log.ts';
import { isRunning, signal } from '../../platform/processes.ts';
import { type LocalController, until, withController } from '../support/local_controller.ts';

const callPath = (worker: string, leaf: 'events' | 'media') =>
  `/w/local/desk/${worker}/c/callref00001/${leaf}?t=secret-token`;

interface Echo {
  worker: string;
  bytes: number;
}

async function post(
  local: LocalController,
  path: string,
  body: string,
): Promise<{ status: number; echo: Echo | undefined }> {
  const response = await fetch(local.frontUrl + path, { method: 'POST', body });
  return { status: response.status, echo: response.ok ? ((await response.json()) as Echo) : undefined };
}

/** An open socket and the greeting, which names the worker. */
async function dial(local: LocalController, worker: string): Promise<{ socket: WebSocket; greeting: string }> {
  const socket = new WebSocket(local.frontUrl.replace('http', 'ws') + callPath(worker, 'media'));
  const [greeting] = await once(socket, 'message');
  return { socket, greeting: String(greeting) };
}

async function say(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message');
  socket.send(text);
  return String((await answer)[0]);
}

describe('local front', { timeout: 120_000 }, () => {
  it('takes callbacks and media to the worker that the path names', () =>
    withController([], async (local) => {
      for (const { id } of await local.ready(2)) {
        assert.equal((await post(local, callPath(id, 'events'), 'x'.repeat(1000))).echo?.worker, id);
        const { socket, greeting } = await dial(local, id);
        assert.equal(greeting, `hello from ${id}`);
        assert.equal(await say(socket, 'hi'), `${id}: hi`);
        socket.close();
        await once(socket, 'close');
      }
    }));

  it('spreads rings, answers 404 to other paths and 503 for a pool without workers', () =>
    withController([], async (local) => {
      await local.ready(2);
      const seen = new Set<string | undefined>();
      for (let ring = 0; ring < 4; ring++) seen.add((await post(local, '/p/local/desk/events', '[]')).echo?.worker);
      assert.equal(seen.size, 2);
      for (const path of ['/', '/metrics', '/internal/hand-off', '/w/local/desk/UPPER/c/callref00001/events']) {
        assert.equal((await post(local, path, '')).status, 404);
      }
      const upgrade = new WebSocket(`${local.frontUrl.replace('http', 'ws')}/other`);
      const [, response] = await once(upgrade, 'unexpected-response');
      assert.equal(response.statusCode, 404);
      assert.equal((await post(local, '/p/local/nobody/events', '[]')).status, 503);
    }));

  it('repeats a body up to 256 KiB at another worker, and takes a larger one to one worker only', () =>
    withController([], async (local) => {
      const [a, b] = await local.ready(2);
      assert.ok(a && b);
      const large = await post(local, callPath(a.id, 'events'), 'x'.repeat(900_000));
      assert.deepEqual([large.echo?.worker, large.echo?.bytes], [a.id, 900_000]);
      const frozen = local.processOf(a.id);
      signal(frozen, 'SIGSTOP');
      try {
        const { echo } = await post(local, callPath(a.id, 'events'), 'y'.repeat(200_000));
        assert.deepEqual([echo?.worker, echo?.bytes], [b.id, 200_000]);
      } finally {
        signal(frozen, 'SIGCONT');
      }
    }));

  it('takes a call elsewhere when its owner is gone or frozen, media upgrades too', () =>
    withController([], async (local) => {
      const [a, b] = await local.ready(2);
      assert.ok(a && b);
      assert.equal((await post(local, callPath('desk-zzzzz', 'events'), '[]')).status, 200);

      const frozen = local.processOf(a.id);
      signal(frozen, 'SIGSTOP');
      const whileFrozen = await dial(local, a.id);
      assert.equal(whileFrozen.greeting, `hello from ${b.id}`);
      signal(frozen, 'SIGKILL');
      const afterDeath = await dial(local, a.id);
      assert.notEqual(afterDeath.greeting, `hello from ${a.id}`);
      assert.equal(await say(whileFrozen.socket, 'still here'), `${b.id}: still here`);
      for (const { socket } of [whileFrozen, afterDeath]) socket.terminate();
    }));

  it('keeps a tunnel when the controller is killed, and needs neither it nor Redis for a new one', () =>
    withController([], async (local) => {
      const [a] = await local.ready(2);
      assert.ok(a);
      const { socket } = await dial(local, a.id);
      await local.kill('SIGKILL');
      await local.redis.kill();
      assert.equal(await say(socket, 'one'), `${a.id}: one`);
      const fresh = await dial(local, a.id);
      assert.equal(fresh.greeting, `hello from ${a.id}`);
      for (const one of [socket, fresh.socket]) one.terminate();
    }));

  it('comes back on the same port after it was killed, and never logs a query string', () =>
    withController([], async (local) => {
      const [a] = await local.ready(2);
      assert.ok(a);
      const url = local.frontUrl;
      const first = local.frontProcess();
      await post(local, callPath(a.id, 'events'), '[]');
      signal(first, 'SIGKILL');
      await until('the front is back', () => !isRunning(first) && isRunning(local.frontProcess()));
      assert.equal(local.frontUrl, url);
      assert.equal((await post(local, callPath(a.id, 'events'), '[]')).echo?.worker, a.id);
      assert.ok(!readFileSync(local.folder.log('front'), 'utf8').includes('secret-token'));
    }));

  it('cuts off a client that never finishes its head, and one whose head is too long', async () => {
    const front = new Front({
      candidates: () => [],
      log: silentLog,
      limits: { headTimeoutMs: 200, maxHeadBytes: 2_048 },
    });
    const port = await front.listen(0);
    const slow = connect(port, '127.0.0.1');
    slow.on('error', () => undefined);
    slow.write('GET /p/local/desk/events HTTP/1.1\r\nX-Slow: ');
    slow.resume();
    await once(slow, 'close');

    const long = connect(port, '127.0.0.1');
    long.write(`GET /p/local/desk/events HTTP/1.1\r\nX-Long: ${'x'.repeat(4_096)}\r\n\r\n`);
    const [answer] = await once(long, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 431 /);
    long.destroy();
    await front.close();
  });
});
