// Stands in for a metrics adapter: one external metric, whose value is what stands in the file.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const GROUP_VERSION = 'external.metrics.k8s.io/v1beta1';
const [, , certificates, valueFile] = process.argv;

function answer(path) {
  const [, apis, group, version, namespaces, , metricName] = path.split('/');
  if (apis !== 'apis' || `${group}/${version}` !== GROUP_VERSION) return undefined;
  if (namespaces === undefined) {
    const resource = { name: 'rtvoice_calls', singularName: '', namespaced: true, kind: 'ExternalMetricValueList' };
    return {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: GROUP_VERSION,
      resources: [{ ...resource, verbs: ['get'] }],
    };
  }
  const value = readFileSync(valueFile, 'utf8').trim();
  const item = { metricName, metricLabels: {}, timestamp: new Date().toISOString(), value };
  return { kind: 'ExternalMetricValueList', apiVersion: GROUP_VERSION, metadata: {}, items: [item] };
}

const tls = {
  key: readFileSync(`${certificates}/tls.key`),
  cert: readFileSync(`${certificates}/tls.crt`),
};
createServer(tls, (request, response) => {
  const body = answer(new URL(request.url, 'https://x').pathname);
  response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body ?? {}));
}).listen(8443);
