import { type Expression, hasAggregate, type Query } from './ast.ts';
import { evaluate, type Scope } from './evaluate.ts';
import { parseQuery } from './parse.ts';
import { canonical, compareForOrder } from './values.ts';

export interface QuerySpec {
  query: string;
  parameters?: { name: string; value: unknown }[];
}

type Document = Record<string, unknown>;

/** A query that has been read and can be run over documents. */
export class PreparedQuery {
  readonly query: Query;
  readonly #parameters: ReadonlyMap<string, unknown>;

  constructor(spec: QuerySpec) {
    this.query = parseQuery(spec.query);
    this.#parameters = new Map((spec.parameters ?? []).map(({ name, value }) => [name, value]));
  }

  /** Each document gives its results by itself: nothing is ordered, counted, grouped or cut off. */
  get isScan(): boolean {
    const { distinct, top, groupBy, orderBy, offset } = this.query;
    return (
      !distinct &&
      top === undefined &&
      offset === undefined &&
      orderBy.length + groupBy.length === 0 &&
      !this.isAggregate
    );
  }

  get isAggregate(): boolean {
    const { selection } = this.query;
    if (selection.kind === 'value') return hasAggregate(selection.of.expression);
    return selection.kind === 'members' && selection.items.some(({ expression }) => hasAggregate(expression));
  }

  /** The results of one document of a scan. */
  scan(document: Document): unknown[] {
    return this.#rows([document]).flatMap((row) => this.#selected(row));
  }

  run(documents: Iterable<Document>): unknown[] {
    const { orderBy, groupBy, distinct, top, offset = 0, limit = Number.POSITIVE_INFINITY } = this.query;
    let rows = this.#rows(documents);
    const [by] = orderBy;
    if (by) {
      const sign = by.descending ? -1 : 1;
      const keyed = rows.map((row) => ({ row, key: evaluate(by.expression, row) }));
      rows = keyed.sort((a, b) => sign * compareForOrder(a.key, b.key)).map(({ row }) => row);
    }
    if (groupBy.length > 0 || this.isAggregate) rows = this.#groups(rows);
    let results = rows.flatMap((row) => this.#selected(row));
    if (distinct) results = [...new Map(results.map((result) => [canonical(result), result])).values()];
    return results.slice(offset, offset + Math.min(limit, top ?? Number.POSITIVE_INFINITY));
  }

  #rows(documents: Iterable<Document>): Scope[] {
    const { alias, joins, where } = this.query;
    const rows: Scope[] = [];
    for (const document of documents) {
      let found: Scope[] = [{ names: new Map([[alias, document]]), parameters: this.#parameters }];
      for (const { alias: joined, over } of joins) {
        found = found.flatMap((row) => {
          const items = evaluate(over, row);
          if (!Array.isArray(items)) return [];
          return items.map((item) => ({ ...row, names: new Map([...row.names, [joined, item]]) }));
        });
      }
      rows.push(...found.filter((row) => !where || evaluate(where.expression, row) === true));
    }
    return rows;
  }

  /** One row for each group; without GROUP BY all rows are one group, also when there are none. */
  #groups(rows: readonly Scope[]): Scope[] {
    const { groupBy, alias } = this.query;
    const nothing: Scope = { names: new Map([[alias, undefined]]), parameters: this.#parameters };
    if (groupBy.length === 0) return [{ ...(rows[0] ?? nothing), group: rows }];
    const groups = new Map<string, Scope[]>();
    for (const row of rows) {
      const key = groupBy.map(({ expression }) => canonical(evaluate(expression, row))).join();
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return [...groups.values()].map((group) => ({ ...(group[0] ?? nothing), group }));
  }

  /** Empty when there is nothing to tell: an undefined VALUE. */
  #selected(row: Scope): unknown[] {
    const { selection, alias } = this.query;
    if (selection.kind === 'all') return [row.names.get(alias)];
    if (selection.kind === 'value') return defined(evaluate(selection.of.expression, row));
    const members: Expression = {
      kind: 'object',
      members: selection.items.map(({ name, expression }) => ({ name, value: expression })),
    };
    return [evaluate(members, row)];
  }
}

/** The filter of a conditional patch: `from c where …`. */
export function matches(condition: string, document: Document): boolean {
  return new PreparedQuery({ query: `select * ${condition}` }).run([document]).length === 1;
}

const defined = (value: unknown): unknown[] => (value === undefined ? [] : [value]);
