/** `npm run gen [-- --check]`: writes the generated files, or with `--check` names those that are out of date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFiles, ROOT } from './files.ts';
import { errorsTable } from './gen/errors_table.ts';
import { keysTable } from './gen/keys_table.ts';
import { poolTypes } from './gen/pool_types.ts';
import { misplacedIn, settingsTable } from './gen/settings_table.ts';

const files = projectFiles();
const OUTPUTS: Readonly<Record<string, () => Promise<string>>> = {
  'contract/pool.gen.ts': poolTypes,
  'docs/settings.md': () => settingsTable(files),
  'docs/errors.md': () => errorsTable(files),
  'docs/keys.md': async () => keysTable(),
};

const check = process.argv.includes('--check');
let drifted = 0;
for (const [file, make] of Object.entries(OUTPUTS)) {
  const path = join(ROOT, file);
  const current = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  let wanted: string;
  try {
    wanted = await make();
  } catch (error) {
    drifted += 1;
    process.stdout.write(`drift: ${file} ${error instanceof Error ? error.message.split('\n')[0] : String(error)}\n`);
    continue;
  }
  if (current === wanted) continue;
  drifted += 1;
  if (check) process.stdout.write(`drift: ${file}\n`);
  else {
    writeFileSync(path, wanted);
    process.stderr.write(`gen: wrote ${file}\n`);
  }
}
for (const file of misplacedIn(files)) {
  drifted += 1;
  process.stdout.write(`drift: ${file} its settings miss docs/settings.md: move them to a file named *_settings.ts\n`);
}
if (check && drifted > 0) process.exitCode = 1;
