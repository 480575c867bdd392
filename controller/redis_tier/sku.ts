export type SkuStep =
  /** The one to take. */
  | { readonly kind: 'next'; readonly sku: string }
  /** There is none, and why. */
  | { readonly kind: 'none'; readonly reason: string };

/** `Balanced_B10` -> 10: within and across the families of Azure Managed Redis a larger number is a larger memory. */
function sizeOf(sku: string): number | undefined {
  const digits = /_[A-Z]+(\d{1,6})$/.exec(sku)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The SKU after the current one in the list. Never a smaller one, whatever the order of the list: that would lose keys. */
export function nextSku(current: string, skus: readonly string[]): SkuStep {
  const at = skus.findIndex((sku) => sku.toLowerCase() === current.toLowerCase());
  if (at < 0) return { kind: 'none', reason: `the SKU ${current} is not in spec.redis.actuator.azure.skus; add it` };
  const sku = skus[at + 1];
  if (sku === undefined) {
    return { kind: 'none', reason: `${current} is the largest of spec.redis.actuator.azure.skus; add a larger one` };
  }
  const [from, to] = [sizeOf(current), sizeOf(sku)];
  if (from !== undefined && to !== undefined && to < from) {
    return {
      kind: 'none',
      reason: `${sku} is smaller than ${current}: order spec.redis.actuator.azure.skus, smallest first`,
    };
  }
  return { kind: 'next', sku };
}
