import { badRequest } from '../http_error.ts';
import type { AggregateName, Expression } from './ast.ts';
import { functionOf } from './functions.ts';
import { compare, compareForOrder } from './values.ts';

/** What names mean while one row (or a group of rows) is looked at. `undefined` is the language's own undefined. */
export interface Scope {
  readonly names: ReadonlyMap<string, unknown>;
  readonly parameters: ReadonlyMap<string, unknown>;
  /** The rows of the group, for aggregates. */
  readonly group?: readonly Scope[];
}

export function evaluate(expression: Expression, scope: Scope): unknown {
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'parameter':
      return parameter(expression.name, scope);
    case 'path':
      return path(expression, scope);
    case 'call':
      return functionOf(expression.name, expression.args.length)(...expression.args.map((arg) => evaluate(arg, scope)));
    case 'aggregate':
      return aggregate(expression.name, expression.of, scope);
    case 'not':
      return negated(evaluate(expression.of, scope));
    case 'operator':
      return operator(expression, scope);
    case 'in': {
      const value = evaluate(expression.value, scope);
      return expression.options.some((option) => compare('=', value, evaluate(option, scope)) === true);
    }
    case 'between': {
      const value = evaluate(expression.value, scope);
      const above = compare('>=', value, evaluate(expression.low, scope));
      const below = compare('<=', value, evaluate(expression.high, scope));
      return above === undefined || below === undefined ? undefined : above && below;
    }
    case 'like':
      return like(evaluate(expression.value, scope), evaluate(expression.pattern, scope));
    case 'choice':
      return evaluate(evaluate(expression.test, scope) === true ? expression.then : expression.else, scope);
    case 'array':
      return expression.items.map((item) => evaluate(item, scope)).filter((value) => value !== undefined);
    case 'object':
      return Object.fromEntries(
        expression.members
          .map(({ name, value }) => [name, evaluate(value, scope)] as const)
          .filter(([, value]) => value !== undefined),
      );
  }
}

function parameter(name: string, { parameters }: Scope): unknown {
  if (!parameters.has(name)) throw badRequest(`The query parameter ${name} has no value.`);
  return parameters.get(name);
}

function path({ root, steps }: Expression & { kind: 'path' }, scope: Scope): unknown {
  if (!scope.names.has(root)) throw badRequest(`Identifier '${root}' could not be resolved.`);
  return steps.reduce<unknown>((at, step) => member(at, evaluate(step, scope)), scope.names.get(root));
}

function member(value: unknown, name: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return typeof name === 'number' ? value[name] : undefined;
  return typeof name === 'string' && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function negated(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? !value : undefined;
}

function operator({ name, left, right }: Expression & { kind: 'operator' }, scope: Scope): unknown {
  const a = evaluate(left, scope);
  const b = evaluate(right, scope);
  switch (name) {
    case 'or':
      if (a === true || b === true) return true;
      return typeof a === 'boolean' && typeof b === 'boolean' ? false : undefined;
    case 'and':
      if (a === false || b === false) return false;
      return a === true && b === true ? true : undefined;
    case '??':
      return a ?? b;
    case '||':
      return typeof a === 'string' && typeof b === 'string' ? a + b : undefined;
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return typeof a === 'number' && typeof b === 'number' ? arithmetic(name, a, b) : undefined;
    default:
      return compare(name, a, b);
  }
}

function arithmetic(name: string, a: number, b: number): number | undefined {
  if (name === '+') return a + b;
  if (name === '-') return a - b;
  if (name === '*') return a * b;
  if (b === 0) return undefined;
  return name === '/' ? a / b : a % b;
}

function like(value: unknown, pattern: unknown): boolean | undefined {
  if (typeof value !== 'string' || typeof pattern !== 'string') return undefined;
  const source = pattern
    .replace(/[.*+?^${}()|\\]/g, '\\$&')
    .replaceAll('%', '[\\s\\S]*')
    .replaceAll('_', '[\\s\\S]');
  return new RegExp(`^${source}$`).test(value);
}

/** Undefined values do not count; a sum or mean over anything but numbers is undefined. */
function aggregate(name: AggregateName, of: Expression, scope: Scope): unknown {
  if (!scope.group) throw badRequest('Aggregates are not allowed here.');
  const values = scope.group.map((row) => evaluate(of, row)).filter((value) => value !== undefined);
  if (name === 'count') return values.length;
  if (values.length === 0) return name === 'sum' ? 0 : undefined;
  if (name === 'min' || name === 'max') {
    const sign = name === 'min' ? 1 : -1;
    return values.reduce((best, value) => (sign * compareForOrder(value, best) < 0 ? value : best));
  }
  if (!values.every((value) => typeof value === 'number')) return undefined;
  const sum = (values as number[]).reduce((total, value) => total + value, 0);
  return name === 'sum' ? sum : sum / values.length;
}
