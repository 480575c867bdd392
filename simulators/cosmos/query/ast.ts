/** Expressions of the query language, as far as this simulator knows it. */
export type Expression =
  | { kind: 'constant'; value: unknown }
  | { kind: 'parameter'; name: string }
  | { kind: 'path'; root: string; steps: readonly Expression[] }
  | { kind: 'call'; name: string; args: readonly Expression[] }
  | { kind: 'aggregate'; name: AggregateName; of: Expression }
  | { kind: 'operator'; name: string; left: Expression; right: Expression }
  | { kind: 'not'; of: Expression }
  | { kind: 'in'; value: Expression; options: readonly Expression[] }
  | { kind: 'between'; value: Expression; low: Expression; high: Expression }
  | { kind: 'like'; value: Expression; pattern: Expression }
  | { kind: 'choice'; test: Expression; then: Expression; else: Expression }
  | { kind: 'array'; items: readonly Expression[] }
  | { kind: 'object'; members: readonly { name: string; value: Expression }[] };

export const AGGREGATES = ['count', 'sum', 'min', 'max', 'avg'] as const;
export type AggregateName = (typeof AGGREGATES)[number];

/** A part of a query with the text it was read from: plans are written from texts. */
export interface Clause {
  readonly expression: Expression;
  readonly text: string;
}

export interface SelectItem extends Clause {
  readonly name: string;
}

export type Selection =
  | { kind: 'all' }
  | { kind: 'value'; of: Clause }
  | { kind: 'members'; items: readonly SelectItem[] };

export interface Query {
  readonly selection: Selection;
  readonly selectionText: string;
  readonly distinct: boolean;
  readonly top: number | undefined;
  readonly alias: string;
  readonly fromText: string;
  readonly joins: readonly { alias: string; over: Expression }[];
  readonly where: Clause | undefined;
  readonly groupBy: readonly Clause[];
  readonly orderBy: readonly (Clause & { descending: boolean })[];
  readonly offset: number | undefined;
  readonly limit: number | undefined;
}

/** True when one of its parts is an aggregate. */
export function hasAggregate(expression: Expression): boolean {
  if (expression.kind === 'aggregate') return true;
  return partsOf(expression).some(hasAggregate);
}

function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'constant':
    case 'parameter':
      return [];
    case 'path':
      return expression.steps;
    case 'call':
      return expression.args;
    case 'aggregate':
    case 'not':
      return [expression.of];
    case 'operator':
      return [expression.left, expression.right];
    case 'in':
      return [expression.value, ...expression.options];
    case 'between':
      return [expression.value, expression.low, expression.high];
    case 'like':
      return [expression.value, expression.pattern];
    case 'choice':
      return [expression.test, expression.then, expression.else];
    case 'array':
      return expression.items;
    case 'object':
      return expression.members.map(({ value }) => value);
  }
}
