import type { AccessToken, TokenCredential } from '@azure/identity';
import { UnsecuredJWT } from 'jose';
import { redisCli, type TestRedis } from './redis.ts';

export const OBJECT_ID = '7d3b9f0e-1c55-4c4e-9a63-0b6d2f7f1a11';

/** An identity whose tokens a test makes: what stands on the other side of the Azure SDK's port. */
export class TestIdentity implements TokenCredential {
  readonly scopes: string[] = [];
  /** Thrown in place of the next token. */
  fault: Error | undefined;
  #serial = 0;
  #token: AccessToken | undefined;

  /** The next token, which is given until the one after it. Its text is what the servers must take as the password. */
  issue(expiresOnTimestamp: number): string {
    this.#serial += 1;
    const token = new UnsecuredJWT({ oid: OBJECT_ID, serial: this.#serial }).encode();
    this.#token = { token, expiresOnTimestamp };
    return token;
  }

  async getToken(scopes: string | string[]): Promise<AccessToken | null> {
    this.scopes.push(...[scopes].flat());
    if (this.fault) throw this.fault;
    return this.#token ?? null;
  }
}

/** Makes `password` the only one of the user on each server. Connections that are open stay, as with Azure's key rotation. */
export async function setPassword(servers: readonly TestRedis[], user: string, password: string): Promise<void> {
  for (const { port } of servers) {
    await redisCli(port, 'ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '&*', '+@all');
  }
}

/** Cuts every connection of the user, as a server does when a token ends. */
export async function killConnections(servers: readonly TestRedis[], user: string): Promise<void> {
  for (const { port } of servers) await redisCli(port, 'CLIENT', 'KILL', 'USER', user);
}
