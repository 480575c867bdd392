import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { PrometheusSource, readAnswer } from './prometheus_source.ts';

const vector = (...values: unknown[]) =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  });

describe('the answer of a Prometheus server', () => {
  it('is one number, as a vector of one or a scalar', () => {
    assert.equal(readAnswer(vector('42.5')), 42.5);
    assert.equal(
      readAnswer(JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [1, '0'] } })),
      0,
    );
  });

  const wrong: [string, string, RegExp][] = [
    ['nothing', vector(), /gives nothing/],
    ['two series', vector('1', '2'), /2 series, not one; sum\(\)/],
    ['NaN', vector('NaN'), /NaN, not a number/],
    ['infinity', vector('+Inf'), /not a number/],
    ['less than nothing', vector('-3'), /-3, not a number from 0/],
    ['an empty text', vector(''), /not a number/],
    ['a failure', JSON.stringify({ status: 'error', error: 'parse error' }), /query failed: parse error/],
    [
      'a matrix',
      JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [] } }),
      /a matrix, not one number/,
    ],
    ['a page', '<html>', /not JSON/],
    ['null', 'null', /not JSON/],
    [
      'an empty series',
      JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [null] } }),
      /not a number/,
    ],
  ];
  for (const [name, text, says] of wrong) {
    it(`never reads ${name} as zero`, () => {
      const value = readAnswer(text);
      assert.ok(typeof value === 'string');
      assert.match(value, says);
    });
  }
});

describe('a Prometheus source', () => {
  async function ask(listener: RequestListener, token?: string) {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prom`;
    const settings = { url, query: 'sum(rtvoice_active_calls)', timeoutSeconds: 1 };
    const source = new PrometheusSource({ settings, token, clock: new ManualClock() });
    try {
      assert.equal(source.newest.kind, 'missing');
      await Promise.all([source.refresh(), source.refresh()]);
      return source.newest;
    } finally {
      await source.close();
      server.close();
      server.closeAllConnections();
    }
  }

  it('asks below the path of its URL, with its token, once at a time', async () => {
    const seen: string[] = [];
    const newest = await ask((request, response) => {
      seen.push(`${request.url} ${request.headers.authorization}`);
      response.end(vector('7'));
    }, 'secret');
    assert.deepEqual(seen, ['/prom/api/v1/query?query=sum%28rtvoice_active_calls%29 Bearer secret']);
    assert.deepEqual(newest, { kind: 'known', calls: 7, observedAtMs: 0 });
  });

  it('does not take an old answer for a new one', async () => {
    let atSeconds = 1_000;
    const answer = () => {
      const result = [{ metric: {}, value: [atSeconds, '5'] }];
      return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } });
    };
    const server = createServer((_request, response) => void response.end(answer())).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const clock = new ManualClock();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const source = new PrometheusSource({ settings: { url, query: 'x', timeoutSeconds: 1 }, token: undefined, clock });
    const next = async (passedMs: number, advancedSeconds: number) => {
      clock.advance(passedMs);
      atSeconds += advancedSeconds;
      await source.refresh();
      return source.newest.kind === 'missing' ? source.newest.reason : source.newest.calls;
    };
    try {
      assert.equal(await next(0, 0), 5);
      assert.equal(await next(5_000, 5), 5);
      assert.match(String(await next(5_000, 0)), /old: its time stands still/);
      assert.match(String(await next(5_000, 0)), /old/, 'and stays old');
      assert.equal(await next(5_000, 1), 5);
      assert.equal(await next(500, 0), 5, 'asked again at once');
    } finally {
      await source.close();
      server.close();
      server.closeAllConnections();
    }
  });

  it('says why there is no number when the server refuses, is silent or answers without end', async () => {
    const reason = async (listener: RequestListener) => {
      const newest = await ask(listener);
      return newest.kind === 'missing' ? newest.reason : '';
    };
    assert.match(await reason((_request, response) => response.writeHead(503).end()), /status 503/);
    const wrong = JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'unexpected end of input' });
    assert.match(
      await reason((_request, response) => response.writeHead(400).end(wrong)),
      /status 400: unexpected end/,
    );
    assert.match(await reason(() => undefined), /no answer/);
    assert.match(await reason((_request, response) => void response.end('#'.repeat(2 * 2 ** 20))), /no answer/);
  });
});
