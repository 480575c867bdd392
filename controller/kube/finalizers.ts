import type { KubeClient } from './client.ts';
import { isConflict, isNotFound } from './errors.ts';
import type { KubeObject } from './objects.ts';
import type { Resource } from './resources.ts';

/** Adds the finalizer unless it is there; gives the object as it is then. A conflict is left to the next pass, which sees the newer object. */
export async function addFinalizer<T extends KubeObject>(
  client: Pick<KubeClient, 'patch'>,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<T> {
  const { finalizers = [] } = object.metadata;
  if (finalizers.includes(finalizer)) return object;
  return (await setFinalizers(client, resource, object, [...finalizers, finalizer])) ?? object;
}

/** Takes the finalizer away: a deleted object goes with its last one. */
export async function removeFinalizer<T extends KubeObject>(
  client: Pick<KubeClient, 'patch'>,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<void> {
  const { finalizers = [] } = object.metadata;
  if (!finalizers.includes(finalizer)) return;
  const rest = finalizers.filter((one) => one !== finalizer);
  await setFinalizers(client, resource, object, rest);
}

/** With the version that was seen: the list is replaced as a whole, and must not take away what somebody has just added. */
async function setFinalizers<T extends KubeObject>(
  client: Pick<KubeClient, 'patch'>,
  resource: Resource<T>,
  { metadata }: T,
  finalizers: string[],
): Promise<T | undefined> {
  const { name, namespace, resourceVersion } = metadata;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  try {
    return await client.patch(resource, ref, { metadata: { resourceVersion, finalizers } }, 'merge');
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    return undefined;
  }
}
