import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { packageFile } from '../../contract/package_files.ts';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { missingBinaries } from '../../tools/cluster/binaries.ts';
import { binary } from '../../tools/cluster/paths.ts';

const run = promisify(execFile);
const NEEDS = ['etcd', 'kube-apiserver', 'kubectl'];

/** Why these tests cannot run here; false when they can. */
export function lacksApiServer(): string | false {
  const missing = missingBinaries(NEEDS);
  return missing.length > 0 && `${missing.join(', ')} must be built first (tools/cluster/binaries.ts)`;
}

export interface Answer {
  readonly code: number;
  readonly body: {
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message?: string }[] };
    readonly [field: string]: unknown;
  };
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A real API server that knows pools and nothing else of rtvoice. */
export class CrdServer implements AsyncDisposable {
  readonly #api: ApiServer;
  readonly #agent: Agent;
  readonly #folder: string;

  private constructor(api: ApiServer, folder: string) {
    this.#api = api;
    this.#folder = folder;
    this.#agent = new Agent({ connect: { ca: readFileSync(api.pki.caFile, 'utf8') } });
  }

  static async start(): Promise<CrdServer> {
    const folder = mkdtempSync(join(tmpdir(), 'rtvoice-api-'));
    const server = new CrdServer(await ApiServer.start({ folder }), folder);
    try {
      // As people install it: kubectl sends the file as it stands, rules included.
      await server.kubectl('apply', '--server-side', '-f', packageFile('crds/voiceworkerpool.yaml'));
      await server.kubectl('wait', '--for=condition=Established', '--timeout=30s', 'crd/voiceworkerpools.rtvoice.dev');
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** `path`: below `…/namespaces/default/voiceworkerpools`, such as `/desk/scale?dryRun=All`. */
  async pools(method: Method, path: string, body?: unknown, contentType = 'application/json'): Promise<Answer> {
    const url = `${this.#api.url}/apis/rtvoice.dev/v1alpha1/namespaces/default/voiceworkerpools${path}`;
    const headers = { authorization: `Bearer ${this.#api.pki.token('admin')}`, 'content-type': contentType };
    const sent = body === undefined ? null : JSON.stringify(body);
    const { statusCode, body: answer } = await request(url, { method, dispatcher: this.#agent, headers, body: sent });
    return { code: statusCode, body: (await answer.json()) as Answer['body'] };
  }

  /** Standard output; rejects with standard error in the message. */
  async kubectl(...args: string[]): Promise<string> {
    const cache = ['--cache-dir', join(this.#folder, 'kubectl')];
    const { stdout } = await run(binary('kubectl'), ['--kubeconfig', this.#api.kubeconfig(), ...cache, ...args]);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
    await this.#api[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
