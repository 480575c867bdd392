/** What a connection proves itself with. The same object until it changes. */
export interface Credential {
  /** Undefined: the server's default user. */
  readonly user: string | undefined;
  readonly password: string;
}

/** Where the user and password of every connection of a process come from; they may change while it runs. */
export interface CredentialSource {
  /** The newest; undefined until there is one, and `none` for a server that asks for nothing. */
  readonly current: Credential | 'none' | undefined;
  /** Tells each change from now on. Gives what ends it. */
  subscribe(listener: (credential: Credential) => void): () => void;
  close(): void;
}

/** A password that stays, for as long as the process runs. */
export function staticCredentials(target: {
  readonly user: string | undefined;
  readonly password: string | undefined;
}): CredentialSource {
  const { user, password } = target;
  const current = password === undefined ? 'none' : { user, password };
  const nothing = () => undefined;
  return { current, subscribe: () => nothing, close: nothing };
}

/** The newest credential and those who want to hear of the next. */
export class CredentialCell {
  readonly #listeners = new Set<(credential: Credential) => void>();
  #current: Credential | undefined;

  get current(): Credential | undefined {
    return this.#current;
  }

  /** True when it is another one than before: only then anybody is told. */
  set(credential: Credential): boolean {
    const known = this.#current;
    if (known && known.user === credential.user && known.password === credential.password) return false;
    this.#current = credential;
    for (const listener of [...this.#listeners]) listener(credential);
    return true;
  }

  subscribe(listener: (credential: Credential) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
