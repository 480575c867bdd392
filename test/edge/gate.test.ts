import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { ask, drain, Media, open, post, raw } from './support/client.ts';
import { EDGE_HOST, Edge } from './support/edge.ts';
import { REFUSED } from './support/refused.ts';
import { eventsPath, mediaPath, NS, POOL, ringPath, TOKEN, type World, withWorld } from './support/world.ts';

const OTHER_NS = 'elsewhere';
async function withWorker(env: Readonly<Record<string, string>>, body: (world: World) => Promise<void>): Promise<void> {
  await withWorld(env, async (world) => {
    const { addresses } = await world.workers(['desk-aaaaa']);
    await world.service(addresses);
    await body(world);
  });
}

describe('the gate of the edge', { timeout: 120_000 }, () => {
  it('answers 404 to every other path, and asks the name server for none of them', () =>
    withWorker({}, async ({ edge, dns }) => {
      for (const { what, path, method = 'POST' } of REFUSED) {
        const request = `${method} ${path} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
        assert.match(await raw(edge, request), /^HTTP\/1\.1 404 /, what);
      }
      assert.deepEqual(dns.queries, []);
      // It is up and well.
      assert.equal((await post(edge, ringPath())).status, 200);
    }));

  it('refuses what is no HTTP, or two things at once, without asking the name server', () =>
    withWorker({}, async ({ edge, dns }) => {
      const ring = `POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\n`;
      for (const request of [
        `POST /p/${NS}/de sk/events HTTP/1.1\r\nHost: ${EDGE_HOST}\r\n\r\n`,
        `POST /p/${NS}/de\tsk/events HTTP/1.1\r\nHost: ${EDGE_HOST}\r\n\r\n`,
        `POST /p/${NS}/d\u00e9sk/events HTTP/1.1\r\nHost: ${EDGE_HOST}\r\n\r\n`,
        `POST ${ringPath()}\r\n\r\n`,
        `${ring}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
        `${ring}Transfer-Encoding: gzip, identity\r\n\r\n`,
        `${ring} folded: x\r\nbad header: x\r\n\r\n`,
      ]) {
        assert.match(await raw(edge, request), /^HTTP\/1\.[01] (400|404|422|501) /, request);
      }
      assert.deepEqual(dns.queries, []);
    }));

  it('takes the length of a chunked request from its chunks alone', () =>
    withWorker({}, async ({ edge }) => {
      const hidden = `5\r\nhello\r\n0\r\n\r\n`;
      const request = `POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${hidden}`;
      const answer = await raw(edge, request);
      if (/^HTTP\/1\.1 200 /.test(answer)) assert.match(answer, /"body":"hello"/);
      else assert.match(answer, /^(HTTP\/1\.1 400 |$)/);
    }));

  it('knows only the namespaces that it is told of', () =>
    withWorker({ EDGE_NAMESPACES: `${NS}|second` }, async ({ edge, dns }) => {
      for (const ns of [OTHER_NS, `${NS}x`, `x${NS}`, 'kube-system']) {
        assert.equal((await post(edge, ringPath(POOL, ns))).status, 404);
        assert.equal((await post(edge, eventsPath('desk-aaaaa', POOL, ns))).status, 404);
      }
      assert.deepEqual(dns.queries, []);
      assert.equal((await post(edge, ringPath())).status, 200);
      assert.equal((await post(edge, ringPath(POOL, 'second'))).status, 503);
    }));

  it('says itself where a request came from', () =>
    withWorker({}, async ({ edge }) => {
      const headers = {
        'X-Forwarded-For': '1.2.3.4',
        'x-forwarded-proto': 'gopher',
        'X-Forwarded-Host': 'evil.test',
        'X-FORWARDED-Prefix': '/evil',
        'X-Real-IP': '1.2.3.4',
        Forwarded: 'for=1.2.3.4',
        authorization: 'Bearer of-the-caller',
      };
      for (const path of [eventsPath('desk-aaaaa'), eventsPath('desk-gone0'), ringPath()]) {
        const { seen } = await ask(edge, path, { body: '[]', headers });
        const forwarded = Object.entries(seen?.headers ?? {}).filter(([name]) => /forwarded|real-ip/.test(name));
        assert.deepEqual(Object.fromEntries(forwarded), {
          'x-forwarded-for': '127.0.0.1',
          'x-forwarded-proto': 'https',
        });
        assert.equal(seen?.headers.authorization, 'Bearer of-the-caller');
      }
    }));

  it('refuses a body above 96 KiB, and ends at once what does not even fit into its buffer', () =>
    withWorker({}, async ({ edge }) => {
      const head = `POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nConnection: close\r\n`;
      const chunk = `${(16_384).toString(16)}\r\n${'x'.repeat(16_384)}\r\n`;
      assert.match(await raw(edge, `${head}Content-Length: 98305\r\n\r\n${'x'.repeat(98_305)}`), /^HTTP\/1\.1 413 /);
      // An answer would be followed by reading on for as long as the caller cares to send.
      assert.equal(await raw(edge, `${head}Content-Length: 10000000\r\n\r\n${'x'.repeat(200_000)}`), '');
      assert.equal(await raw(edge, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(12)}`), '');
      const elsewhere = head.replace(ringPath(), '/else');
      assert.equal(await raw(edge, `${elsewhere}Content-Length: 10000000\r\n\r\n${'x'.repeat(200_000)}`), '');
      const whole = await raw(edge, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`);
      assert.match(whole, /^HTTP\/1\.1 200 /);
    }));

  it('takes a body that comes in pieces', () =>
    withWorker({}, async ({ edge }) => {
      const socket = await open(edge);
      socket.write(
        `POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfirst`,
      );
      // Another request has come and gone meanwhile.
      assert.equal((await post(edge, ringPath())).status, 200);
      socket.write('-then');
      assert.match(await drain(socket), /"body":"first-then"/);
    }));

  it('ends who sends too slowly: no handshake, half a head, half a body', () =>
    withWorker({}, async ({ edge }) => {
      const silent = connect(edge.port, '127.0.0.1');
      const ended = once(silent, 'close', { signal: AbortSignal.timeout(30_000) });
      const [head, body] = await Promise.all([open(edge), open(edge)]);
      head.write(`POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nX-Slow: `);
      body.write(`POST ${ringPath()} HTTP/1.1\r\nHost: ${EDGE_HOST}\r\nContent-Length: 100\r\n\r\nfirst`);
      // A byte now and then must not keep it alive.
      const drip = setInterval(
        () => [head, body].forEach((socket) => void (socket.writable && socket.write('x'))),
        500,
      );
      try {
        assert.deepEqual(await Promise.all([drain(head), drain(body)]), ['', '']);
        await ended;
      } finally {
        clearInterval(drip);
      }
      assert.equal((await post(edge, ringPath())).status, 200);
    }));

  it('limits connections of one source when it is told to, but not of those that it is told to leave alone', async () => {
    const env = { EDGE_SOURCE_CONNECTIONS: '3', EDGE_UNLIMITED_SOURCES: '203.0.113.0/24' };
    await withWorker(env, async ({ edge }) => {
      const held = await Promise.all([open(edge), open(edge), Media.dial(edge, mediaPath('desk-aaaaa'))]);
      await assert.rejects(post(edge, ringPath()), /ECONNRESET|socket hang up|disconnected/);
      // What is open goes on.
      assert.match(await held[2].say('hello'), /hello/);
      held[0].destroy();
      await once(held[0], 'close');
      for (let left = 50; left > 0; left--) {
        const answer = await post(edge, ringPath()).catch(() => undefined);
        if (answer?.status === 200) break;
        assert.ok(left > 1, 'a place that was given back is not taken again');
      }
      held[1].destroy();
      await held[2].close();
    });
    await withWorker(
      { EDGE_SOURCE_CONNECTIONS: '3', EDGE_UNLIMITED_SOURCES: '203.0.113.0/24 127.0.0.0/8' },
      async ({ edge }) => {
        const held = await Promise.all(Array.from({ length: 6 }, () => open(edge)));
        assert.equal((await post(edge, ringPath())).status, 200);
        for (const socket of held) socket.destroy();
      },
    );
  });

  it('limits requests of one source when it is told to', () =>
    withWorker({ EDGE_SOURCE_REQUESTS: '5', EDGE_UNLIMITED_SOURCES: '203.0.113.0/24' }, async ({ edge }) => {
      const statuses = [];
      for (let request = 0; request < 8; request++) statuses.push((await post(edge, ringPath())).status);
      assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    }));

  it('limits nobody unless it is told to', () =>
    withWorker({ EDGE_UNLIMITED_SOURCES: '203.0.113.0/24' }, async ({ edge }) => {
      const answers = await Promise.all(Array.from({ length: 60 }, () => post(edge, ringPath())));
      assert.ok(answers.every(({ status }) => status === 200));
    }));

  it('hears only the sources that it is told of', () =>
    withWorker({ EDGE_SOURCES: '203.0.113.0/24 198.51.100.7' }, async ({ edge }) => {
      await assert.rejects(post(edge, ringPath()), /ECONNRESET|socket hang up|disconnected/);
    }));

  it('speaks TLS 1.2 and 1.3 and HTTP/1.1, and nothing older or newer', () =>
    withWorker({}, async ({ edge }) => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const socket = await open(edge, {
          minVersion: version,
          maxVersion: version,
          ALPNProtocols: ['h2', 'http/1.1'],
        });
        assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], [version, 'http/1.1']);
        socket.destroy();
      }
      // The security level lets this client offer what is too old.
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await assert.rejects(open(edge, old), /alert protocol version|unsupported protocol/i);
      const refused = await edge.logged(({ msg }) => msg === 'connection ended without a request');
      assert.equal(refused.from, '127.0.0.1');
    }));

  it('speaks TLS 1.3 alone when it is told to', () =>
    withWorker({ EDGE_TLS_MIN: 'TLSv1.3' }, async ({ edge }) => {
      await assert.rejects(open(edge, { maxVersion: 'TLSv1.2' }), /alert protocol version/i);
      assert.equal((await post(edge, ringPath())).status, 200);
    }));

  it('answers probes and gives figures on its other port alone', () =>
    withWorker({}, async ({ edge }) => {
      await post(edge, ringPath());
      const inside = async (path: string) => fetch(`http://127.0.0.1:${edge.insidePort}${path}`);
      const text = await (await inside('/metrics')).text();
      for (const name of [
        'haproxy_frontend_current_sessions',
        'haproxy_backend_retry_warnings_total',
        'haproxy_backend_redispatch_warnings_total',
        'haproxy_frontend_http_responses_total',
        'haproxy_process_current_connections',
        'haproxy_process_max_connections',
      ]) {
        assert.match(text, new RegExp(`^${name}\\b`, 'm'), name);
      }
      assert.ok(!text.includes(TOKEN));
      assert.equal((await inside('/livez')).status, 200);
      for (const path of ['/', ringPath(), eventsPath('desk-aaaaa')]) assert.equal((await inside(path)).status, 404);
    }));

  it('answers probes while callers hold every connection that they may have, and more of them wait', () =>
    withWorker({ EDGE_MAXCONN: '4', EDGE_MAXCONN_TOTAL: '20' }, async ({ edge }) => {
      const live = async () => {
        // A connection of its own, as the kubelet makes it.
        const asked = get({ port: edge.insidePort, path: '/livez', agent: false, signal: AbortSignal.timeout(5_000) });
        const [answer] = (await once(asked, 'response')) as [IncomingMessage];
        answer.resume();
        return answer.statusCode;
      };
      const held = await Promise.all(Array.from({ length: 4 }, () => Media.dial(edge, mediaPath('desk-aaaaa'))));
      const crowd = Array.from({ length: 30 }, () => connect(edge.port, '127.0.0.1'));
      for (const socket of crowd) socket.on('error', () => undefined);
      // Not all get in, but as many as would fill the process.
      const connections = async () => /^CurrConns: (\d+)$/m.exec(await edge.admin('show info'))?.[1];
      for (let looks = 0; looks < 20 && Number(await connections()) < 20; looks++) assert.equal(await live(), 200);
      assert.equal(await live(), 200);
      for (const socket of crowd) socket.destroy();
      const waiting = post(edge, ringPath());
      assert.equal(await live(), 200);
      await held[0]?.close();
      assert.equal((await waiting).status, 200);
      for (const media of held.slice(1)) await media.close();
    }));

  it('does not start when each of its connections cannot have its files, instead of failing under load', async () => {
    // Whoever may raise its own limits must lose that right first.
    const drop = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-sys_resource'] : [];
    const limited = (files: number) => [...drop, 'sh', '-c', `ulimit -n ${files} && exec "$@"`, 'sh'];
    const startAndStop = async (files: number) => {
      const edge = await Edge.start({ EDGE_DNS: '127.0.0.1:1' }, limited(files));
      await edge[Symbol.asyncDispose]();
    };
    await assert.rejects(startAndStop(600), /haproxy did not start: .*(limit|maxconn)/s);
    await startAndStop(1_400);
  });
});
