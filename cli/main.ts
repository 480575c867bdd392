#!/usr/bin/env node
import { errorCode, RtvoiceError } from '../platform/errors.ts';
import { EXIT, type ExitCode, type Io, processIo } from './io.ts';

interface Verb {
  usage: string;
  summary: string;
  /** Loaded only when it is called, so that `rtvoice --help` is quick. */
  run(args: string[], io: Io): Promise<ExitCode>;
}

const VERBS: Readonly<Record<string, Verb>> = {
  dev: {
    usage: 'dev [--calls N] [--exit] [--json] [--pool FILE] [--state-dir DIR]',
    summary: 'run everything on this machine: controller, workers, Redis, simulated Azure and callers who speak',
    run: async (args, io) => (await import('./dev/dev.ts')).dev(args, io),
  },
  call: {
    usage: 'call [--text TEXT]... [--wav FILE] [--keys 1234#] [--state-dir DIR] [--json]',
    summary: 'place one call against the running local mode and print the dialogue',
    run: async (args, io) => (await import('./dev/call.ts')).call(args, io),
  },
  pool: {
    usage: 'pool get [-o json] | pool scale NAME --replicas N | pool apply FILE',
    summary: 'look at or change the pool of the running local mode',
    run: async (args, io) => (await import('./pool.ts')).pool(args, io),
  },
  drain: {
    usage: 'drain WORKER [--deadline SECONDS] [--watch] [--namespace NAME] [--controller URL]',
    summary: 'empty a worker: no new calls, those it has go on to their end',
    run: async (args, io) => (await import('./drain.ts')).drain(args, io),
  },
  explain: {
    usage: 'explain scale|placement [--pool NAME] [--namespace NAME] [--controller URL] [-o json]',
    summary: 'say why there are so many workers, whom a drain was chosen over, and where a call would be placed',
    run: async (args, io) => (await import('./explain.ts')).explain(args, io),
  },
  backup: {
    usage: 'backup FILE [--with-cache] [--json]',
    summary: 'write every record of Redis that cannot be made again into a file, sealed as it is',
    run: async (args, io) => (await import('./backup.ts')).backup(args, io),
  },
  restore: {
    usage: 'restore FILE [--merge] [--json]',
    summary: 'bring a backup into an empty Redis; fences go on above every old one',
    run: async (args, io) => (await import('./backup.ts')).restore(args, io),
  },
  calls: {
    usage: 'calls show ID [--json] [--state-dir DIR]',
    summary: 'show one call from the archive: its turns, its end, and how much of it is there',
    run: async (args, io) => (await import('./calls.ts')).calls(args, io),
  },
  transcripts: {
    usage: 'transcripts export [--from TIME --to TIME | --call ID] [--json | --jsonl] [--state-dir DIR]',
    summary: 'write the transcripts of the archive, one turn a line',
    run: async (args, io) => (await import('./transcripts.ts')).transcripts(args, io),
  },
  outbox: {
    usage: 'outbox list [--call ID] | outbox replay (--call ID [--record ID] | --all) [-o json]',
    summary: 'show records that the archive has refused for good, and try them once more',
    run: async (args, io) => (await import('./outbox.ts')).outbox(args, io),
  },
  feed: {
    usage: 'feed token --user NAME [--minutes N]',
    summary: 'give a supervisor’s browser the way into the live feed of Web PubSub',
    run: async (args, io) => (await import('./feed.ts')).feed(args, io),
  },
  cosmos: {
    usage: 'cosmos init [--check] [--json] [--state-dir DIR]',
    summary: 'make the containers of the archive in Cosmos DB, or say what is different',
    run: async (args, io) => (await import('./cosmos.ts')).cosmos(args, io),
  },
  migrate: {
    usage: 'migrate [--dry-run] [--json] [--limit N] [--rate N]',
    summary: 'move conversations over from the flat Redis keys of older systems',
    run: async (args, io) => (await import('./migrate.ts')).migrate(args, io),
  },
  keys: {
    usage:
      'keys add --ring FILE [--tenant NAME] [--vault URL [--vault-key NAME]] | keys promote --ring FILE | keys status | keys rewrap | keys erase --caller NUMBER [--yes]',
    summary: 'make and rotate the tenant keys that records are sealed under, and make one caller’s records unreadable',
    run: async (args, io) => (await import('./keys.ts')).keys(args, io),
  },
  verify: {
    usage: 'verify sealing [--limit N] [--spool DIR] [-o text|json|prometheus]',
    summary: 'look for personal data that stands in clear in Redis, in Cosmos DB and in spools',
    run: async (args, io) => (await import('./verify.ts')).verify(args, io),
  },
};

function help(): string {
  const rows = Object.values(VERBS).map(({ usage, summary }) => `  rtvoice ${usage}\n      ${summary}`);
  return `rtvoice runs real-time voice calls of Azure Communication Services.\n\n${rows.join('\n')}\n\nExit codes: 0 ok, 1 degraded, 2 error, 3 refused.\n`;
}

async function main(args: string[], io: Io): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.out(help());
    return name === undefined ? EXIT.error : EXIT.ok;
  }
  const verb = VERBS[name];
  if (!verb) {
    io.err(`rtvoice: there is no command ${JSON.stringify(name)}; the commands are ${Object.keys(VERBS).join(', ')}\n`);
    return EXIT.error;
  }
  try {
    return await verb.run(rest, io);
  } catch (error) {
    return explain(error, verb, io);
  }
}

/** An error of ours says its cause and the next step; a slip in the arguments shows the usage; anything else is a fault of the product. */
function explain(error: unknown, verb: Verb, io: Io): ExitCode {
  if (error instanceof RtvoiceError) {
    io.err(`rtvoice: ${error.message}\n  ${error.remedy} (${error.code})\n`);
    return error.status === 409 ? EXIT.refused : EXIT.error;
  }
  if (errorCode(error).startsWith('ERR_PARSE_ARGS')) {
    io.err(`rtvoice: ${(error as Error).message}\nusage: rtvoice ${verb.usage}\n`);
    return EXIT.error;
  }
  io.err(`rtvoice: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.error;
}

process.exitCode = await main(process.argv.slice(2), processIo);
