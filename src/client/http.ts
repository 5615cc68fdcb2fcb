import type { Credentials } from './credentials.js';
import { SynapClientError } from './errors.js';
import type { Environment } from './environment.js';
import type { FieldFault } from './types.js';

/** What says: later. */
export interface TryLater {
  readonly isLater: true;
  /** What the server asked for; undefined where it did not say. */
  readonly afterMs: number | undefined;
  /** `foreign`: whoever stands between has answered, with `status`. */
  readonly why: 'unreachable' | 'busy' | 'foreign';
  /** HTTP's; 0 where there was no answer. */
  readonly status: number;
}

/** All of an answer, body included. */
interface Answer {
  readonly response: Response;
  /** Undefined where it is no JSON. */
  readonly body: unknown;
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
    const answer = await this.attempt<T>(path, () => init);
    if (!isLater(answer)) return answer;
    throw new SynapClientError('unavailable', 'Synap is out of reach for the moment.');
  }

  /**
   * As `json`, but what may be tried again is told by a value. Whoever stands between may answer too, with a page of its own or half
   * an answer: only what is clearly Synap's counts. A token that is refused is asked for once more.
   * @param init asked once the token, and with it the user, is known
   * @param isWhole whether a body is what is asked for
   */
  async attempt<T>(path: string, init: () => RequestInit, isWhole = isObject): Promise<T | TryLater> {
    const first = await this.#call(path, init);
    const answer = first?.response.status === 401 && !this.#credentials.isFixed ? await this.#call(path, init) : first;
    if (answer === undefined) return { isLater: true, afterMs: undefined, why: 'unreachable', status: 0 };
    const { response, body } = answer;
    const { ok, status } = response;
    if (ok && isWhole(body)) return body as T;
    const isBusy = status >= 500 || later.includes(status);
    if (!ok && !isBusy && isProblem(answer)) throw problem(status, body);
    return { isLater: true, afterMs: askedFor(response), why: isBusy ? 'busy' : 'foreign', status };
  }

  /** Undefined where the server, or the one who gives tokens, was not reached, or did not come to an end in time. */
  async #call(path: string, init: () => RequestInit): Promise<Answer | undefined> {
    const limit = new AbortController();
    const isOver = Promise.withResolvers<undefined>();
    const cancel = this.#environment.after(timeoutMs, () => {
      limit.abort();
      isOver.resolve(undefined);
    });
    try {
      return await Promise.race([this.#answer(path, init, limit.signal), isOver.promise]);
    } catch (thrown) {
      if (thrown instanceof SynapClientError) throw thrown;
      return undefined;
    } finally {
      cancel();
    }
  }

  async #answer(path: string, init: () => RequestInit, signal: AbortSignal): Promise<Answer | undefined> {
    const token = await this.#credentials.token();
    // The token came too late: this attempt was given up.
    if (signal.aborted) return undefined;
    const asked = init();
    const headers = { ...(asked.headers as Record<string, string>), Authorization: `Bearer ${token}` };
    const response = await this.#environment.fetch(`${this.#base}${path}`, { ...asked, headers, signal });
    return { response, body: parsed(await response.text()) };
  }
}

export function isLater(answer: unknown): answer is TryLater {
  return typeof answer === 'object' && answer !== null && 'isLater' in answer;
}

const isObject = (body: unknown): boolean => typeof body === 'object' && body !== null;

function isProblem({ response, body }: Answer): boolean {
  const isDeclared = response.headers.get('Content-Type')?.startsWith('application/problem+json') === true;
  return isDeclared && isObject(body) && typeof (body as { readonly code?: unknown }).code === 'string';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `Retry-After` in seconds, as Synap sends it. */
function askedFor({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}

/** RFC 9457: `detail` where there is one, else `title`, and the path of each fault. */
function problem(status: number, body: unknown): SynapClientError {
  const { code, title, detail, errors } = body as {
    readonly code: string;
    readonly title?: string;
    readonly detail?: string;
    readonly errors?: readonly FieldFault[];
  };
  const said = detail ?? title ?? `The server answered ${status}.`;
  return new SynapClientError(code, said, { status, faults: errors ?? [] });
}
