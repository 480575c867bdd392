import { effectivePartitionKey, inRange, type KeyRange, keyRanges } from './epk.ts';

export type Document = Record<string, unknown> & { id: string; _etag: string; _ts: number };

export interface ContainerDefinition {
  id: string;
  partitionKey: { paths: string[]; kind?: string; version?: number };
  /** Seconds; -1 turns expiry on without a default; absent turns it off. */
  defaultTtl?: number;
  uniqueKeyPolicy?: { uniqueKeys: { paths: string[] }[] };
  [member: string]: unknown;
}

/** Which documents a request may see: one partition key, a part of the hash space, or all. */
export interface Scope {
  /** Whole partition key as JSON. */
  readonly pk?: string | undefined;
  readonly range?: KeyRange | undefined;
}

/** A document where it stands: `place` grows with creation, `lsn` with every change. */
export interface Row {
  readonly place: number;
  readonly pk: string;
  readonly epk: string;
  lsn: number;
  doc: Document;
}

/** Documents of one container, with the order of their creation and the log of their newest changes. */
export class Container {
  definition: ContainerDefinition;
  readonly rid: string;
  readonly ranges: readonly KeyRange[];
  readonly #nowMs: () => number;
  /** By partition key as JSON, then by id. */
  readonly #partitions = new Map<string, Map<string, Row>>();
  /** By place; what was deleted leaves a hole. */
  readonly #rows: (Row | undefined)[] = [undefined];
  /** By lsn; an entry whose row has moved on is stale. */
  readonly #log: (Row | undefined)[] = [undefined];

  constructor(options: { definition: ContainerDefinition; rid: string; nowMs: () => number; partitions: number }) {
    this.definition = options.definition;
    this.rid = options.rid;
    this.#nowMs = options.nowMs;
    this.ranges = keyRanges(options.partitions);
  }

  /** Number of the newest change. */
  get lsn(): number {
    return this.#log.length - 1;
  }

  get isHierarchical(): boolean {
    return this.definition.partitionKey.paths.length > 1;
  }

  epkOf(pk: string): string {
    return effectivePartitionKey(JSON.parse(pk) as unknown[], this.isHierarchical);
  }

  /** A live document: an expired one is not there. */
  document(pk: string, id: string): Document | undefined {
    const row = this.#partitions.get(pk)?.get(id);
    return row && !this.#expired(row.doc) ? row.doc : undefined;
  }

  /** Live rows from a place on, in the order of their creation. */
  *rows({ pk, range }: Scope, fromPlace: number): Generator<Row> {
    if (pk !== undefined) {
      for (const row of this.#partitions.get(pk)?.values() ?? [])
        if (row.place >= fromPlace && !this.#expired(row.doc)) yield row;
      return;
    }
    for (let place = Math.max(1, fromPlace); place < this.#rows.length; place++) {
      const row = this.#rows[place];
      if (row && (!range || inRange(row.epk, range)) && !this.#expired(row.doc)) yield row;
    }
  }

  /** Rows that changed after `lsn`, each once with its newest version, oldest change first. */
  *changes({ pk, range }: Scope, afterLsn: number): Generator<Row> {
    for (let lsn = Math.max(0, afterLsn) + 1; lsn < this.#log.length; lsn++) {
      const row = this.#log[lsn];
      if (!row || row.lsn !== lsn || this.#rows[row.place] !== row || this.#expired(row.doc)) continue;
      if (pk !== undefined ? row.pk === pk : !range || inRange(row.epk, range)) yield row;
    }
  }

  put(pk: string, doc: Document): void {
    const partition = this.#partitions.get(pk) ?? new Map<string, Row>();
    this.#partitions.set(pk, partition);
    const known = partition.get(doc.id);
    const lsn = this.#log.length;
    if (known && !this.#expired(known.doc)) {
      known.doc = doc;
      known.lsn = lsn;
      this.#log.push(known);
      return;
    }
    if (known) this.remove(pk, doc.id);
    const row = { place: this.#rows.length, pk, epk: this.epkOf(pk), lsn, doc };
    partition.set(doc.id, row);
    this.#rows.push(row);
    this.#log.push(row);
  }

  remove(pk: string, id: string): void {
    const partition = this.#partitions.get(pk);
    const row = partition?.get(id);
    if (!partition || !row) return;
    partition.delete(id);
    if (partition.size === 0) this.#partitions.delete(pk);
    this.#rows[row.place] = undefined;
    this.#log[row.lsn] = undefined;
  }

  #expired(doc: Document): boolean {
    const { defaultTtl } = this.definition;
    if (defaultTtl === undefined) return false;
    const ttl = typeof doc.ttl === 'number' ? doc.ttl : defaultTtl;
    return ttl > 0 && this.#nowMs() >= (doc._ts + ttl) * 1000;
  }
}
