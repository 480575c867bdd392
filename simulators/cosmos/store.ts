import { randomUUID } from 'node:crypto';
import { badRequest, conflict, notFound } from './http_error.ts';
import { type Change, Journal } from './journal.ts';

export type Document = Record<string, unknown> & { id: string; _etag: string; _ts: number };

export interface ContainerDefinition {
  id: string;
  partitionKey: { paths: string[]; kind?: string; version?: number };
  /** Seconds; -1 turns expiry on without a default; absent turns it off. */
  defaultTtl?: number;
  [member: string]: unknown;
}

export interface Container {
  definition: ContainerDefinition;
  rid: string;
  /** By partition key as JSON, then by id. */
  partitions: Map<string, Map<string, Document>>;
}

interface Database {
  rid: string;
  containers: Map<string, Container>;
}

/** The account's data. Every change goes through `commit`: to disk first when there is a file, then to memory. */
export class CosmosStore {
  readonly #databases = new Map<string, Database>();
  readonly #journal: Journal | undefined;
  readonly #nowMs: () => number;

  constructor(options: { dataFile: string | undefined; nowMs: () => number }) {
    this.#nowMs = options.nowMs;
    if (options.dataFile !== undefined) {
      for (const changes of Journal.read(options.dataFile)) this.#apply(changes);
      Journal.rewrite(options.dataFile, this.#snapshot());
      this.#journal = new Journal(options.dataFile);
    }
  }

  close(): void {
    this.#journal?.close();
  }

  commit(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#journal?.append(changes);
    this.#apply(changes);
  }

  databaseIds(): string[] {
    return [...this.#databases.keys()];
  }

  database(id: string): Database {
    const found = this.#databases.get(id);
    if (!found) throw notFound(`Database ${id} does not exist.`);
    return found;
  }

  container(db: string, id: string): Container {
    const found = this.database(db).containers.get(id);
    if (!found) throw notFound(`Container ${id} does not exist.`);
    return found;
  }

  createDatabase(id: string): void {
    checkId(id);
    if (this.#databases.has(id)) throw conflict('Database with specified id already exists.');
    this.commit([{ op: 'database', db: id }]);
  }

  createContainer(db: string, definition: ContainerDefinition): void {
    checkId(definition.id);
    const paths = definition.partitionKey?.paths;
    if (
      !Array.isArray(paths) ||
      paths.length === 0 ||
      !paths.every((path) => typeof path === 'string' && path.startsWith('/'))
    ) {
      throw badRequest('The partition key component definition paths must not be empty and start with a slash.');
    }
    if (this.database(db).containers.has(definition.id)) throw conflict('Container with specified id already exists.');
    this.commit([{ op: 'container', db, definition }]);
  }

  /** A live document: an expired one is not there. */
  document(container: Container, pk: string, id: string): Document | undefined {
    const found = container.partitions.get(pk)?.get(id);
    return found && !this.#expired(container, found) ? found : undefined;
  }

  /** Live documents of one partition, or of all, in the order of their creation. */
  documents(container: Container, pk?: string): Document[] {
    const partitions =
      pk === undefined
        ? [...container.partitions.values()]
        : [container.partitions.get(pk) ?? new Map<string, Document>()];
    return partitions.flatMap((partition) => [...partition.values()].filter((doc) => !this.#expired(container, doc)));
  }

  /** The stored form of a body: system properties are the server's. */
  stamp(container: Container, body: Record<string, unknown> & { id: string }): Document {
    return {
      ...body,
      _rid: `${container.rid}doc`,
      _self: `dbs/x/colls/${container.rid}/docs/${encodeURIComponent(body.id)}/`,
      _etag: `"${randomUUID()}"`,
      _attachments: 'attachments/',
      _ts: Math.floor(this.#nowMs() / 1000),
    };
  }

  /** What makes this state out of nothing: keeps the file as small as the data at each start. */
  #snapshot(): Change[][] {
    const lines: Change[][] = [];
    for (const [db, { containers }] of this.#databases) {
      lines.push([{ op: 'database', db }]);
      for (const [coll, container] of containers) {
        lines.push([{ op: 'container', db, definition: container.definition }]);
        for (const pk of container.partitions.keys()) {
          for (const doc of this.documents(container, pk)) lines.push([{ op: 'put', db, coll, pk, doc }]);
        }
      }
    }
    return lines;
  }

  #expired(container: Container, doc: Document): boolean {
    const { defaultTtl } = container.definition;
    if (defaultTtl === undefined) return false;
    const ttl = typeof doc.ttl === 'number' ? doc.ttl : defaultTtl;
    return ttl > 0 && this.#nowMs() >= (doc._ts + ttl) * 1000;
  }

  #apply(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.op) {
        case 'database':
          this.#databases.set(change.db, { rid: rid(4), containers: new Map() });
          break;
        case 'container': {
          const { id } = change.definition;
          const existing = this.#databases.get(change.db)?.containers.get(id);
          if (existing) existing.definition = change.definition;
          else
            this.database(change.db).containers.set(id, {
              definition: change.definition,
              rid: rid(8),
              partitions: new Map(),
            });
          break;
        }
        case 'dropDatabase':
          this.#databases.delete(change.db);
          break;
        case 'dropContainer':
          this.database(change.db).containers.delete(change.coll);
          break;
        case 'put': {
          const { partitions } = this.container(change.db, change.coll);
          const partition = partitions.get(change.pk) ?? new Map<string, Document>();
          partitions.set(change.pk, partition.set(change.doc.id, change.doc));
          break;
        }
        case 'remove':
          this.container(change.db, change.coll).partitions.get(change.pk)?.delete(change.id);
          break;
      }
    }
  }
}

/** The service refuses these in ids of every kind. */
export function checkId(id: unknown): asserts id is string {
  if (typeof id !== 'string' || id === '' || id.length > 255 || /[/\\?#]/.test(id) || id.endsWith(' ')) {
    throw badRequest(
      'The input name is invalid. Ensure to provide a unique non-empty string less than 255 characters without /, \\, ? and #.',
    );
  }
}

/** Looks like a resource id: the SDK only carries it around. */
function rid(bytes: number): string {
  return Buffer.from(
    randomUUID()
      .replaceAll('-', '')
      .slice(0, bytes * 2),
    'hex',
  )
    .toString('base64')
    .replaceAll('/', '-');
}
