import { randomUUID } from 'node:crypto';
import { Container, type ContainerDefinition, type Document, type Scope } from './container.ts';
import { conflict, notFound } from './http_error.ts';
import { type Change, Journal } from './journal.ts';
import { checkDefinition, checkId } from './rules.ts';

export type { Container, ContainerDefinition, Document, Row, Scope } from './container.ts';

interface Database {
  rid: string;
  containers: Map<string, Container>;
}

/** The account's data. Every change goes through `commit`: to disk first when there is a file, then to memory. */
export class CosmosStore {
  readonly #databases = new Map<string, Database>();
  readonly #journal: Journal | undefined;
  readonly #nowMs: () => number;
  readonly #partitions: number;

  constructor(options: { dataFile: string | undefined; nowMs: () => number; partitions?: number }) {
    this.#nowMs = options.nowMs;
    this.#partitions = options.partitions ?? 1;
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
    checkDefinition(definition);
    if (this.database(db).containers.has(definition.id)) throw conflict('Container with specified id already exists.');
    this.commit([{ op: 'container', db, definition }]);
  }

  /** Live documents in the order of their creation. */
  documents(container: Container, scope: Scope = {}): Document[] {
    return [...container.rows(scope, 0)].map(({ doc }) => doc);
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
        for (const { pk, doc } of container.rows({}, 0)) lines.push([{ op: 'put', db, coll, pk, doc }]);
      }
    }
    return lines;
  }

  #apply(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.op) {
        case 'database':
          this.#databases.set(change.db, { rid: rid(4), containers: new Map() });
          break;
        case 'container': {
          const { containers } = this.database(change.db);
          const existing = containers.get(change.definition.id);
          if (existing) existing.definition = change.definition;
          else containers.set(change.definition.id, this.#newContainer(change.definition));
          break;
        }
        case 'dropDatabase':
          this.#databases.delete(change.db);
          break;
        case 'dropContainer':
          this.database(change.db).containers.delete(change.coll);
          break;
        case 'put':
          this.container(change.db, change.coll).put(change.pk, change.doc);
          break;
        case 'remove':
          this.container(change.db, change.coll).remove(change.pk, change.id);
          break;
      }
    }
  }

  #newContainer(definition: ContainerDefinition): Container {
    return new Container({ definition, rid: rid(8), nowMs: this.#nowMs, partitions: this.#partitions });
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
