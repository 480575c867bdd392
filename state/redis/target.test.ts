import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyLayoutOf, parseRedisTarget, REDIS_MODES, type RedisMode } from './target.ts';

test('parses every form', () => {
  assert.deepEqual(parseRedisTarget('Standalone', 'redis://127.0.0.1:6390'), {
    mode: 'Standalone',
    nodes: [{ host: '127.0.0.1', port: 6390 }],
    tls: false,
    master: undefined,
    sentinelAuth: false,
    user: undefined,
    password: undefined,
    database: 0,
  });
  assert.deepEqual(
    parseRedisTarget('Sentinel', 'rediss://us%40er:p%2Fa%3Ass@h1:6379,h2/3?master=calls&sentinelAuth=true'),
    {
      mode: 'Sentinel',
      nodes: [
        { host: 'h1', port: 6379 },
        { host: 'h2', port: 26_379 },
      ],
      tls: true,
      master: 'calls',
      sentinelAuth: true,
      user: 'us@er',
      password: 'p/a:ss',
      database: 3,
    },
  );
  const { nodes, password, user } = parseRedisTarget('Cluster', 'rediss://:secret@[::1]:7000,h2:7001');
  assert.deepEqual(nodes, [
    { host: '::1', port: 7000 },
    { host: 'h2', port: 7001 },
  ]);
  assert.deepEqual({ user, password }, { user: undefined, password: 'secret' });
  assert.equal(parseRedisTarget('Enterprise', 'rediss://a.redis.azure.net').nodes[0].port, 10_000);
});

test('refuses what is wrong, naming the part and the setting', () => {
  const faults: [RedisMode, string, RegExp][] = [
    ['Standalone', 'http://h', /not of the form/],
    ['Standalone', '127.0.0.1:6379', /not of the form/],
    ['Standalone', 'redis://', /names no host/],
    ['Standalone', 'redis://a b:1', /host of RTVOICE_REDIS_URL/],
    ['Standalone', 'redis://h:0', /port of h/],
    ['Standalone', 'redis://h:70000', /port of h/],
    ['Standalone', 'redis://h1,h2', /names 2 hosts, but RTVOICE_REDIS_MODE Standalone takes one/],
    ['Enterprise', 'rediss://h1,h2', /Enterprise takes one/],
    ['Standalone', 'redis://h/x', /database of RTVOICE_REDIS_URL/],
    ['Standalone', 'redis://h/70000', /database/],
    ['Cluster', 'redis://h/1', /Cluster has database 0 only/],
    ['Standalone', 'redis://u:%zz@h', /password of RTVOICE_REDIS_URL is not percent-encoded/],
    ['Sentinel', 'redis://h', /needs `\?master=<name>`/],
    ['Sentinel', 'redis://h?master=a%20b', /needs `\?master=<name>`/],
    ['Sentinel', 'redis://h?master=a&sentinelAuth=maybe', /sentinelAuth/],
    ['Cluster', 'redis://h?master=a', /belongs to RTVOICE_REDIS_MODE Sentinel/],
    ['Standalone', 'redis://h?db=1', /parameter other than/],
    ['Cluster', `redis://${Array.from({ length: 33 }, (_, index) => `h${index}`)}`, /names 33 hosts/],
  ];
  for (const [mode, url, message] of faults) {
    assert.throws(() => parseRedisTarget(mode, url), { code: 'ERR_REDIS_TARGET_INVALID', message }, `${mode} ${url}`);
  }
});

test('never shows a password in an error, and gives back any that is percent-encoded', () => {
  const secret = fc.stringMatching(/^[ -~]{8,30}$/);
  fc.assert(
    fc.property(
      secret,
      fc.constantFrom(...REDIS_MODES),
      fc.constantFrom('', '@', ' ', '/x', '?y=1'),
      (text, mode, tail) => {
        const master = mode === 'Sentinel' ? '?master=calls' : '';
        const url = `rediss://user:${encodeURIComponent(text)}@h:1/0${master}`;
        assert.equal(parseRedisTarget(mode, url).password, text);
        try {
          parseRedisTarget(mode, `rediss://user:${text}@h:1,,${tail}`);
        } catch (error) {
          assert.ok(!String(error).includes(text), String(error));
        }
      },
    ),
  );
});

test('asks for slots in the key where there are slots', () => {
  assert.deepEqual(REDIS_MODES.map(keyLayoutOf), ['standalone', 'standalone', 'cluster', 'cluster']);
});
