import type { KubeObject, OwnerReference } from './objects.ts';

/** The reference by which the garbage collector and people know whose object this is. It does not hold up the owner's deletion. */
export function controllerReference(owner: KubeObject & { apiVersion: string; kind: string }): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

/** The owner that controls the object, if it has one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** True when that very object controls it: not another one of the same name. */
export function isControlledBy(object: KubeObject, owner: { kind: string; apiVersion: string; uid: string }): boolean {
  const reference = controllerOf(object);
  const groupOf = (apiVersion: string) => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');
  return (
    reference !== undefined &&
    reference.kind === owner.kind &&
    groupOf(reference.apiVersion) === groupOf(owner.apiVersion) &&
    reference.uid === owner.uid
  );
}
