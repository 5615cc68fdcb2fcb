import type { Credentials } from './credentials.js';
import { SynapClientError } from './errors.js';
import type { Environment } from './environment.js';
import type { FieldFault } from './types.js';

/** An answer that says: later. */
export interface TryLater {
  readonly isLater: true;
  /** What the server asked for; undefined where it did not say. */
  readonly afterMs: number | undefined;
}

const timeoutMs = 30_000;
const later: readonly number[] = [408, 425, 429];

/** Synap's HTTP side, with the user's token. Every refusal is a SynapClientError with the problem's code. */
export class Http {
  readonly #base: string;
  readonly #credentials: Credentials;
  readonly #environment: Environment;

  /** @param base the server's URL without a slash at its end, or '' for the page's own origin */
  constructor(base: string, credentials: Credentials, environment: Environment) {
    this.#base = base;
    this.#credentials = credentials;
    this.#environment = environment;
  }

  /** @throws SynapClientError where it is refused, also for a while (`code: unavailable` where the server is out of reach) */
  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    const answer = await this.attempt<T>(path, init);
    if (!isLater(answer)) return answer;
    throw new SynapClientError('unavailable', 'Synap is out of reach for the moment.');
  }

  /** As `json`, but what may be tried again is told by a value. A token that is refused is asked for once more. */
  async attempt<T>(path: string, init: RequestInit): Promise<T | TryLater> {
    const first = await this.#call(path, init);
    const response = first?.status === 401 && !this.#credentials.isFixed ? await this.#call(path, init) : first;
    if (response === undefined) return { isLater: true, afterMs: undefined };
    if (response.ok) return (await response.json()) as T;
    if (response.status >= 500 || later.includes(response.status))
      return { isLater: true, afterMs: askedFor(response) };
    throw problem(response.status, await response.json().catch(() => undefined));
  }

  /** Undefined where the server, or the one who gives tokens, was not reached. */
  async #call(path: string, init: RequestInit): Promise<Response | undefined> {
    const limit = new AbortController();
    const cancel = this.#environment.after(timeoutMs, () => limit.abort());
    try {
      const token = await this.#credentials.token();
      const headers = { ...(init.headers as Record<string, string>), Authorization: `Bearer ${token}` };
      return await this.#environment.fetch(`${this.#base}${path}`, { ...init, headers, signal: limit.signal });
    } catch (thrown) {
      if (thrown instanceof SynapClientError) throw thrown;
      return undefined;
    } finally {
      cancel();
    }
  }
}

export function isLater(answer: unknown): answer is TryLater {
  return typeof answer === 'object' && answer !== null && 'isLater' in answer;
}

/** `Retry-After` in seconds, as Synap sends it. */
function askedFor({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}

/** RFC 9457: `detail` where there is one, else `title`, and the path of each fault. */
function problem(status: number, body: unknown): SynapClientError {
  const { code, title, detail, errors } = (body ?? {}) as {
    readonly code?: string;
    readonly title?: string;
    readonly detail?: string;
    readonly errors?: readonly FieldFault[];
  };
  const said = detail ?? title ?? `The server answered ${status}.`;
  return new SynapClientError(code ?? 'unknown', said, { status, faults: errors ?? [] });
}
