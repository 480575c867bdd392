import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DNS_LABEL, POOL_NAME_MAX } from '../../contract/ids.ts';
import { LABELS, PORTS, poolLabels } from '../../contract/labels.ts';
import { callUrls, ringPath } from '../../contract/urls.ts';
import type { HttpRoute, KubeObject } from '../kube/objects.ts';
import { anyWorker, budget, defaultRoute, type Owned, workerNames, workerRoute, workerService } from './objects.ts';

const owner = { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', name: 'desk', uid: 'u1' };
const owned: Owned = { ref: { namespace: 'calls', pool: 'desk' }, owner };
const gateway = { name: 'public' };

/** Labels of a worker's Pod. */
const podLabels = (worker: string, { ref }: Owned = owned): Record<string, string> => ({
  ...poolLabels(ref, 'worker'),
  [LABELS.worker]: worker,
  [LABELS.protected]: 'true',
});

const selects = (selector: Readonly<Record<string, string>> | undefined, labels: Readonly<Record<string, string>>) =>
  selector !== undefined && Object.entries(selector).every(([name, value]) => labels[name] === value);

interface Match {
  readonly path: { readonly type: 'Exact' | 'PathPrefix'; readonly value: string };
}

interface Rule {
  readonly matches: readonly Match[];
  readonly timeouts: object;
  readonly backendRefs: readonly { readonly name: string; readonly port: number }[];
}

const rulesOf = ({ spec }: HttpRoute): readonly Rule[] => (spec as { rules: Rule[] }).rules;

/** Where a Gateway sends a path: an exact match first, then the longest prefix, by whole elements (Gateway API, HTTPPathMatch). */
function chosen(routes: readonly HttpRoute[], path: string): string | undefined {
  const rank = ({ type, value }: Match['path']): number => {
    if (type === 'Exact') return value === path ? Number.POSITIVE_INFINITY : -1;
    const prefix = value.replace(/\/$/, '');
    return path === prefix || path.startsWith(`${prefix}/`) ? prefix.length : -1;
  };
  const ranked = routes
    .flatMap(rulesOf)
    .flatMap(({ matches, backendRefs }) => matches.map((match) => ({ at: rank(match.path), to: backendRefs[0]?.name })))
    .filter(({ at }) => at >= 0)
    .sort((one, two) => two.at - one.at);
  return ranked[0]?.to;
}

const label = (maxLength: number) =>
  fc.stringMatching(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/).filter((text) => text.length <= maxLength);
const pools = fc.record({ namespace: label(63), pool: label(POOL_NAME_MAX) });
const workerLetters = fc.uniqueArray(fc.stringMatching(/^[a-z]{5}$/), { minLength: 1, maxLength: 6 });

describe('objects of a pool', () => {
  it('name every worker, also one that is not ready or ends, and balance over ready ones', () => {
    const names = workerNames(owned);
    assert.equal(names.metadata.name, 'desk-calls');
    assert.deepEqual([names.spec?.clusterIP, names.spec?.publishNotReadyAddresses], ['None', true]);
    const any = anyWorker(owned);
    assert.equal(any.metadata.name, 'desk');
    assert.deepEqual([any.spec?.clusterIP, any.spec?.publishNotReadyAddresses], [undefined, undefined]);
    for (const { spec } of [names, any]) {
      assert.ok(selects(spec?.selector, podLabels('desk-aaaaa')));
      assert.ok(
        !selects(spec?.selector, podLabels('desk-aaaaa', { ref: { namespace: 'calls', pool: 'other' }, owner })),
      );
      // The internal listener is in no Service: the edge must not reach it.
      assert.deepEqual(spec?.ports, [{ name: 'public', port: PORTS.public, targetPort: 'public' }]);
    }
  });

  it('protect protected workers, and no others', () => {
    const { spec } = budget(owned);
    assert.ok(selects(spec?.selector?.matchLabels, podLabels('desk-aaaaa')));
    assert.ok(!selects(spec?.selector?.matchLabels, { ...podLabels('desk-aaaaa'), [LABELS.protected]: 'false' }));
    assert.equal(spec?.maxUnavailable, undefined);
    assert.ok(Number(spec?.minAvailable) > 1_000_000);
  });

  it('belong to the pool, carry its labels, and have names that are allowed', () =>
    fc.assert(
      fc.property(pools, workerLetters, (ref, letters) => {
        const of: Owned = { ref, owner };
        const workers = letters.map((each) => `${ref.pool}-${each}`);
        const objects: KubeObject[] = [
          ...[workerNames(of), anyWorker(of), budget(of), defaultRoute(of, gateway)],
          ...workers.flatMap((worker) => [workerService(of, worker), workerRoute(of, gateway, worker)]),
        ];
        for (const { metadata } of objects) {
          assert.match(metadata.name, DNS_LABEL);
          assert.equal(metadata.namespace, ref.namespace);
          assert.deepEqual(metadata.ownerReferences, [owner]);
          assert.equal(metadata.labels?.[LABELS.pool], ref.pool);
        }
      }),
    ));
});

describe('routes of a pool', () => {
  it('take the URLs of a call to its worker, those of unknown workers and rings to any', () =>
    fc.assert(
      fc.property(pools, workerLetters, (ref, letters) => {
        const of: Owned = { ref, owner };
        const workers = letters.map((each) => `${ref.pool}-${each}`);
        const routes = [defaultRoute(of, gateway), ...workers.map((worker) => workerRoute(of, gateway, worker))];
        const paths = (worker: string) => {
          const urls = callUrls({ publicUrl: 'https://edge.test', ref, worker, callRef: 'callref00001', token: 't' });
          return Object.values(urls).map((url) => new URL(url).pathname);
        };
        for (const worker of workers) for (const path of paths(worker)) assert.equal(chosen(routes, path), worker);
        for (const path of paths(`${ref.pool}-gone00`)) assert.equal(chosen(routes, path), ref.pool);
        assert.equal(chosen(routes, ringPath(ref)), ref.pool);
        for (const path of ['/', '/metrics', '/internal/hand-off', `/p/${ref.namespace}/${ref.pool}/else`]) {
          assert.equal(chosen(routes, path), undefined);
        }
      }),
    ));

  it('lead to one worker alone, and never end a socket by a timeout', () => {
    const { spec } = workerService(owned, 'desk-aaaaa');
    assert.ok(selects(spec?.selector, podLabels('desk-aaaaa')));
    assert.ok(!selects(spec?.selector, podLabels('desk-bbbbb')));
    for (const route of [defaultRoute(owned, gateway), workerRoute(owned, gateway, 'desk-aaaaa')]) {
      for (const { timeouts, backendRefs } of rulesOf(route)) {
        assert.deepEqual(timeouts, { request: '0s' });
        assert.deepEqual(
          backendRefs.map(({ port }) => port),
          [PORTS.public],
        );
      }
    }
  });

  it('name the Gateway as the pool does, and leave out what it does not say', () => {
    const whole = { name: 'public', namespace: 'ingress', sectionName: 'https', hostname: 'voice.example.com' };
    const { hostname, ...parent } = whole;
    assert.partialDeepStrictEqual(defaultRoute(owned, whole).spec, { parentRefs: [parent], hostnames: [hostname] });
    const { parentRefs, hostnames } = defaultRoute(owned, gateway).spec as { parentRefs: object[]; hostnames?: object };
    assert.deepEqual([parentRefs, hostnames], [[{ name: 'public' }], undefined]);
  });
});
