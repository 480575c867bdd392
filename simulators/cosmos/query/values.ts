const TYPE_ORDER = ['undefined', 'null', 'boolean', 'number', 'string', 'array', 'object'];

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** Values of different types are unequal and have no order; so do undefined ones: such a comparison is neither true nor false. */
export function compare(operator: string, left: unknown, right: unknown): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  if (operator === '=') return sameText(left, right);
  if (operator === '!=' || operator === '<>') return !sameText(left, right);
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string')) return undefined;
  const order = compareForOrder(left, right);
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

/** The order of ORDER BY: by type first, as the service has it. */
export function compareForOrder(left: unknown, right: unknown): number {
  const types = TYPE_ORDER.indexOf(typeOf(left)) - TYPE_ORDER.indexOf(typeOf(right));
  if (types !== 0) return types;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0;
  return Number(left) - Number(right) || 0;
}

/** Text that is the same for equal values, whatever the order of their members. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_name, each: unknown) =>
      typeOf(each) === 'object'
        ? Object.fromEntries(Object.entries(each as object).sort(([a], [b]) => (a < b ? -1 : 1)))
        : each,
    ) ?? 'undefined'
  );
}

function sameText(left: unknown, right: unknown): boolean {
  return canonical(left) === canonical(right);
}
