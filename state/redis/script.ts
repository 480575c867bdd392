/** A piece of Lua that several scripts share; `keys` are the names that it reads as `<name>Key`. */
export interface Fragment {
  readonly keys: readonly string[];
  readonly lua: string;
}

/**
 * One Lua script. Every key it touches is declared: it stands in KEYS in the order of `keys` and the text reads it as the local `<name>Key`.
 */
export interface Script {
  readonly name: string;
  readonly keys: readonly string[];
  readonly lua: string;
}

const NAME = /^[a-z][A-Za-z0-9]*$/;

/** Joins the fragments and the text; the keys of the fragments are declared with those of the script. */
export function defineScript(options: {
  name: string;
  keys: readonly string[];
  uses?: readonly Fragment[];
  lua: string;
}): Script {
  const uses = options.uses ?? [];
  const keys = [...new Set([...options.keys, ...uses.flatMap((fragment) => fragment.keys)])];
  for (const name of [options.name, ...keys]) {
    if (!NAME.test(name)) throw new Error(`script ${options.name}: ${name} is not a camel case name`);
  }
  const locals = keys.map((name) => `${name}Key`).join(', ');
  const values = keys.map((_, index) => `KEYS[${index + 1}]`).join(', ');
  const head = keys.length > 0 ? `local ${locals} = ${values}\n` : '';
  return { name: options.name, keys, lua: head + uses.map((fragment) => fragment.lua).join('\n') + options.lua };
}
