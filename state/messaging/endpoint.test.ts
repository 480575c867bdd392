import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointOf, requiredEndpoint } from './endpoint.ts';

const credential = { getToken: () => Promise.resolve(null) };
const none = { address: undefined, connectionString: undefined };

test('a connection string wins over a namespace; neither is nothing', () => {
  const both = { address: 'name.servicebus.windows.net', connectionString: 'Endpoint=sb://name/;SharedAccessKey=k' };
  assert.equal(endpointOf('Service Bus', both, credential)?.kind, 'connectionString');
  assert.deepEqual(endpointOf('Service Bus', { ...both, connectionString: undefined }, credential), {
    ...{ kind: 'entra', address: both.address, credential },
  });
  assert.equal(endpointOf('Service Bus', none, credential), undefined);
  assert.throws(() => requiredEndpoint('Service Bus', none, credential), { code: 'ERR_MESSAGING_SETTINGS_INVALID' });
});

test('the wire without TLS stays on this machine', () => {
  const plain = (host: string) => ({
    address: undefined,
    connectionString: `Endpoint=sb://${host};SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true`,
  });
  for (const host of ['127.0.0.1:5672', 'localhost', '[::1]:5672'])
    assert.ok(endpointOf('Service Bus', plain(host), credential));
  for (const host of ['10.0.0.1:5672', '127.0.0.1.example.org', 'localhost.example.org:5672'])
    assert.throws(() => endpointOf('Service Bus', plain(host), credential), { code: 'ERR_MESSAGING_SETTINGS_INVALID' });
});
