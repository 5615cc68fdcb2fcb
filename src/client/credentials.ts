import { SynapClientError } from './errors.js';
import type { TokenProvider } from './types.js';

/** Gives the token of the one user that this client is for. */
export class Credentials {
  readonly #provide: TokenProvider;
  /** A token that is always the same need not be asked for again where it was refused. */
  readonly isFixed: boolean;
  #userId: string | undefined;
  #onUser = () => {};

  /** @param userId where it is known before the first token */
  constructor(token: string | TokenProvider, userId?: string) {
    this.isFixed = typeof token === 'string';
    this.#provide = typeof token === 'string' ? () => token : token;
    this.#userId = userId ?? (typeof token === 'string' ? userIdOf(token) : undefined);
  }

  /** Called with the first token that says whose it is, unless that is known already. */
  onUser(listener: () => void): void {
    this.#onUser = listener;
  }

  /** Undefined before the first token, or where it does not say. */
  get userId(): string | undefined {
    return this.#userId;
  }

  /**
   * @throws SynapClientError `user_changed` where the provider gives another user's: what was missed or not sent yet is the first one's
   */
  async token(): Promise<string> {
    const token = await this.#provide();
    const userId = userIdOf(token);
    if (this.#userId !== undefined && userId !== undefined && userId !== this.#userId)
      throw new SynapClientError('user_changed', 'The token is another user’s: a client is for one user.');
    if (this.#userId === undefined && userId !== undefined) {
      this.#userId = userId;
      this.#onUser();
    }
    return token;
  }
}

/** The claim `sub`, unverified: the server is the one who checks it. */
function userIdOf(token: string): string | undefined {
  const claims = token.split('.')[1];
  if (claims === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly sub?: unknown };
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}
