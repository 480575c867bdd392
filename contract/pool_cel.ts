import { openApiSchema, type SchemaNode, type SchemaRule } from './pool_schema.ts';

/** A rule in CEL of the resource's definition. */
export interface CelRule {
  /** What it speaks of, as in `spec.minWorkers`. One rule speaks of a field at the most. */
  readonly field: string;
  /** What is wrong and what to do, without the field itself. */
  readonly text: string;
  /** Compares with the document of before, so that it says nothing of a new one. */
  readonly transition: boolean;
  readonly reason: SchemaRule['reason'];
}

/** Every rule of the definition, in its order. Throws when a message does not begin with its field. */
export function celRules(): CelRule[] {
  return [...rulesAt(openApiSchema(), '')];
}

function* rulesAt(node: SchemaNode, at: string): Generator<CelRule> {
  for (const { rule, message, fieldPath = '', reason } of node['x-kubernetes-validations'] ?? []) {
    const field = `${at}${fieldPath}`.replace(/^\./, '');
    if (!message.startsWith(`${field} `)) throw new Error(`the message of a rule on ${field} does not begin with it`);
    yield { field, text: message.slice(field.length + 1), transition: /\boldSelf\b/.test(rule), reason };
  }
  for (const [name, child] of Object.entries(node.properties ?? {})) yield* rulesAt(child, `${at}.${name}`);
  if (node.items) yield* rulesAt(node.items, `${at}[]`);
}

let texts: ReadonlyMap<string, string> | undefined;

/** The words of the definition for a broken rule: they stand there once. Throws when no rule speaks of the field. */
export function ruleText(field: string): string {
  texts ??= new Map(celRules().map((rule) => [rule.field, rule.text]));
  const text = texts.get(field);
  if (text === undefined) throw new Error(`crds/voiceworkerpool.yaml has no rule on ${field}`);
  return text;
}
