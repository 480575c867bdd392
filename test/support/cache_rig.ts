import assert from 'node:assert/strict';
import { Informer, type InformerOptions } from '../../controller/kube/informer.ts';
import type { ConfigMap } from '../../controller/kube/objects.ts';
import { CONFIG_MAPS } from '../../controller/kube/resources.ts';
import type { Random } from '../../platform/random.ts';
import { Arrivals, type Exchange, type Rig, startRig } from './scripted_api.ts';

export type Change = readonly [old: string | undefined, now: string | undefined];

/** Waits 1.5 times the back-off, and streams of 450 s. */
const HALF: Random = { fraction: () => 0.5, id: () => 'x' };
const PATH = '/api/v1/configmaps';

export function configMap(name: string, resourceVersion: string, uid = `uid-${name}`): ConfigMap {
  return { metadata: { namespace: 'calls', name, uid, resourceVersion }, data: { at: resourceVersion } };
}

export const event = (type: string, object: unknown) => ({ type, object });
export const bookmark = (resourceVersion: string) =>
  event('BOOKMARK', { kind: 'ConfigMap', metadata: { resourceVersion } });
/** `<uid>@<version>`. */
export const shown = (object: ConfigMap | undefined) =>
  object && `${object.metadata.uid?.replace('uid-', '')}@${object.metadata.resourceVersion}`;

/** A cache of ConfigMaps whose server and time are the test's. */
export class CacheRig implements AsyncDisposable {
  readonly rig: Rig;
  informer: Informer<ConfigMap>;
  changes = new Arrivals<Change>('change');

  private constructor(rig: Rig) {
    this.rig = rig;
    this.informer = this.#make({});
  }

  static async start(): Promise<CacheRig> {
    return new CacheRig(await startRig());
  }

  begin(options: Partial<InformerOptions<ConfigMap>> = {}): void {
    this.informer = this.#make(options);
    this.changes = new Arrivals<Change>('change');
    const { changes } = this;
    this.informer.onChange((old, now) => changes.push([shown(old), shown(now)]));
    this.informer.start();
  }

  /** The first list and an open stream. */
  async following(resourceVersion: string, ...objects: ConfigMap[]): Promise<Exchange> {
    (await this.rig.api.next()).page(resourceVersion, objects);
    for (const object of objects) assert.deepEqual(await this.changes.next(), [undefined, shown(object)]);
    return this.watching(resourceVersion);
  }

  /** The next request is a stream from that version, which is opened. */
  async watching(resourceVersion: string): Promise<Exchange> {
    const exchange = await this.rig.api.next();
    const { watch, resourceVersion: version } = exchange.query;
    assert.deepEqual([exchange.path, watch, version], [PATH, 'true', resourceVersion]);
    exchange.open();
    return exchange;
  }

  /** The next request is the first page of a list. */
  async listing(): Promise<Exchange> {
    const exchange = await this.rig.api.next();
    assert.deepEqual([exchange.path, exchange.query.watch, exchange.query.continue], [PATH, undefined, undefined]);
    return exchange;
  }

  /** A failure has been told; its wait, which must be that long, is over. */
  async pass(waitMs: number): Promise<void> {
    const line = await this.rig.warnings.next();
    assert.deepEqual([line.msg, line.waitMs], ['a watch broke; going on after a while', waitMs]);
    this.rig.clock.advance(waitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.informer.stop();
    await this.rig[Symbol.asyncDispose]();
  }

  #make(options: Partial<InformerOptions<ConfigMap>>): Informer<ConfigMap> {
    const { client, clock, log } = this.rig;
    return new Informer<ConfigMap>({ client, clock, log, random: HALF, resource: CONFIG_MAPS, ...options });
  }
}
