import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controllerOf, controllerReference, isControlledBy } from './owners.ts';

const owner = { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', metadata: { name: 'desk', uid: 'u1' } };
const owned = (reference: object) => ({
  metadata: { name: 'x', ownerReferences: [{ ...controllerReference(owner), ...reference }] },
});

test('the reference names that very object as the controller', () => {
  assert.deepEqual(controllerReference(owner), {
    ...{ apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', name: 'desk', uid: 'u1', controller: true },
  });
});

test('an object belongs to its owner by group, kind and uid; the version may differ', () => {
  const is = (reference: object) => isControlledBy(owned(reference), { ...owner, uid: 'u1' });
  assert.deepEqual(
    [{}, { apiVersion: 'rtvoice.dev/v2' }, { uid: 'u2' }, { kind: 'Pod' }, { apiVersion: 'other.dev/v1alpha1' }].map(
      is,
    ),
    [true, true, false, false, false],
  );
  assert.equal(is({ controller: false }), false);
  assert.equal(isControlledBy({ metadata: { name: 'x' } }, { ...owner, uid: 'u1' }), false);
  assert.equal(controllerOf(owned({ controller: false })), undefined);
});

test('kinds of the core group are told apart from those of others', () => {
  const of = { kind: 'ConfigMap', apiVersion: 'v1', uid: 'u1' };
  assert.equal(isControlledBy(owned({ kind: 'ConfigMap', apiVersion: 'v1' }), of), true);
  assert.equal(isControlledBy(owned({ kind: 'ConfigMap', apiVersion: 'v1/v1' }), of), false);
});
