import type { Credentials } from './credentials.js';
import type { Environment } from './environment.js';
import type { Calls } from './session.js';

const aheadMs = 60_000;
const soonestMs = 5_000;
/** setTimeout cannot wait longer than 2^31 ms; a token may. */
const longestMs = 86_400_000;

/** Gives the server a new token over the open connection before the old one ends. */
export class Refresh {
  readonly #credentials: Credentials;
  readonly #environment: Environment;
  readonly #authenticate: (token: string) => Promise<Calls['authenticate'][1]>;
  #cancel = () => {};

  constructor(
    { credentials, environment }: { readonly credentials: Credentials; readonly environment: Environment },
    authenticate: (token: string) => Promise<Calls['authenticate'][1]>,
  ) {
    this.#credentials = credentials;
    this.#environment = environment;
    this.#authenticate = authenticate;
  }

  /** @param expiresAt of the token that the server has; null where it never ends */
  plan(expiresAt: string | null): void {
    this.cancel();
    if (expiresAt === null || this.#credentials.isFixed) return;
    const waitMs = refreshIn(Date.parse(expiresAt) - this.#environment.now());
    if (waitMs > longestMs) this.#cancel = this.#environment.after(longestMs, () => this.plan(expiresAt));
    else this.#cancel = this.#environment.after(waitMs, () => void this.#refresh(expiresAt));
  }

  cancel(): void {
    this.#cancel();
    this.#cancel = () => {};
  }

  async #refresh(expiresAt: string): Promise<void> {
    const current = new AbortController();
    this.#cancel = () => current.abort();
    const next = await this.#ask().catch(() => undefined);
    // Refused or out of reach: tried again while the old one counts. After that the server ends the connection, and the next
    // one asks the provider again.
    if (!current.signal.aborted) this.plan(next === undefined ? expiresAt : next.expiresAt);
  }

  async #ask(): Promise<{ readonly expiresAt: string | null } | undefined> {
    const answer = await this.#authenticate(await this.#credentials.token());
    return answer.ok ? answer : undefined;
  }
}

/** A minute before the end, or after 80 % of a life that is shorter than five. A clock that is far ahead of the server's tries on. */
function refreshIn(lifeMs: number): number {
  return Math.max(lifeMs - aheadMs, lifeMs * 0.8, soonestMs);
}
