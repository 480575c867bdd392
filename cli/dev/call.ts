import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AzureControl, type CallRecord, type ScriptStep } from '../../simulators/client.ts';
import { EXIT, type ExitCode, type Io } from '../io.ts';
import { LOCAL_MODE_AWAY, LocalReader } from './controller_client.ts';
import { FLAG_INVALID } from './dev.ts';
import { DialogueFollower } from './follower.ts';
import { DEFAULT_STATE_DIR, StateDir } from './state_dir.ts';

const FOLLOW_MS = 150;
const ANSWER_LIMIT_MS = 15_000;

/** `rtvoice call`: one call against the running local mode, its dialogue printed as it happens. */
export async function call(args: string[], io: Io): Promise<ExitCode> {
  const { script, stateDir, json } = readOptions(args);
  const dir = new StateDir(stateDir);
  const run = dir.running();
  if (!run) throw LOCAL_MODE_AWAY.with(dir.path);
  const azure = new AzureControl({ url: run.controlUrl, token: run.controlToken });
  const follower = new DialogueFollower(new LocalReader(dir.path, dir.secrets().internalKey), dir, (line) => {
    if (!json) io.out(`${line}\n`);
  });
  const id = await azure.placeCall({ ringUrl: run.ringUrl, script });
  let record: CallRecord | undefined;
  const following = follow(follower, () => record === undefined);
  for await (const event of azure.events(id)) {
    if (event.type === 'answered') {
      follower.watch(event.callConnectionId);
      if (!json) io.out(`call       ${event.callConnectionId}\n`);
    }
    if (event.type === 'said' && !json) io.out(`you say    ${event.text}\n`);
    if (event.type === 'dtmf' && !json) io.out(`you press  ${event.tones}\n`);
    if (event.type === 'refused') io.err(`the call was ${event.outcome}\n`);
    if (event.type === 'ended') record = event.record;
  }
  await following;
  if (!record) throw LOCAL_MODE_AWAY.with('the simulated Azure ended');
  if (json) io.out(`${JSON.stringify(record)}\n`);
  else io.out(`ended by the ${record.disconnectedBy ?? 'network'}\n`);
  return record.outcome === 'answered' ? EXIT.ok : EXIT.degraded;
}

async function follow(follower: DialogueFollower, going: () => boolean): Promise<void> {
  while (going()) {
    await follower.look();
    await delay(FOLLOW_MS);
  }
}

function readOptions(args: string[]): { script: ScriptStep[]; stateDir: string; json: boolean } {
  const { values, tokens } = parseArgs({
    args,
    tokens: true,
    options: {
      text: { type: 'string', multiple: true },
      wav: { type: 'string', multiple: true },
      keys: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      'state-dir': { type: 'string', default: DEFAULT_STATE_DIR },
    },
  });
  // In the order in which they were written: a caller may speak, press keys and speak again.
  const inputs = tokens.flatMap((token) =>
    token.kind === 'option' && token.value !== undefined ? inputStep(token.name, token.value) : [],
  );
  if (inputs.length === 0) throw FLAG_INVALID.with('give --text, --wav or --keys');
  const listen: ScriptStep = { kind: 'waitForAnswer', timeoutMs: ANSWER_LIMIT_MS };
  const script: ScriptStep[] = [listen, ...inputs.flatMap((input) => [input, listen]), { kind: 'hangUp' }];
  return { script, stateDir: resolve(values['state-dir']), json: values.json };
}

function inputStep(name: string, value: string): ScriptStep[] {
  if (name === 'text') return [{ kind: 'say', text: value }];
  if (name === 'wav') return [{ kind: 'say', wav: resolve(value) }];
  if (name !== 'keys') return [];
  if (!/^[0-9*#A-D]{1,64}$/.test(value)) throw FLAG_INVALID.with('--keys takes 0-9, *, # and A-D');
  return [{ kind: 'dtmf', tones: value }];
}
