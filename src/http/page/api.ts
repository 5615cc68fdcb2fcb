import { asArray, asObject, numberOf, textOf } from './core/json.js';

export interface FieldFault {
  /** A path into the body, such as `data.title`. */
  readonly path: string;
  readonly message: string;
}

/** What the server refused (problem+json), in words that a user may read. `status` 0: it was not reached at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly faults: readonly FieldFault[] = [],
  ) {
    super(message);
  }
}

const unreachable = 'Synap cannot be reached. Check the connection and try again.';
const sendTries = 3;

/** The HTTP side: every call carries the token, every refusal is an ApiError. */
export class Api {
  readonly #token: string;
  readonly #onUnauthenticated: () => void;

  constructor(token: string, onUnauthenticated: () => void) {
    this.#token = token;
    this.#onUnauthenticated = onUnauthenticated;
  }

  async get(path: string): Promise<unknown> {
    const response = await this.#call(path, { headers: this.#headers });
    return response.json();
  }

  async download(path: string): Promise<Blob> {
    const response = await this.#call(path, { headers: this.#headers });
    return response.blob();
  }

  /**
   * Posts an event. A lost answer or an overloaded server is tried again; the idempotency key makes that safe.
   * @returns the aggregate's id
   */
  async send(event: { readonly type: string; readonly requestId: string } & Record<string, unknown>): Promise<string> {
    const headers = { ...this.#headers, 'Content-Type': 'application/json', 'Idempotency-Key': event.requestId };
    const post = { method: 'POST', headers, body: JSON.stringify(event) };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await this.#call('/v1/events', post);
        return textOf(asObject(await response.json()), 'aggregateId') ?? '';
      } catch (thrown) {
        if (attempt === sendTries || !isTemporary(thrown)) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 400 * 2 ** attempt));
      }
    }
  }

  /** Uploads with progress from 0 to 1, which `fetch` cannot report. @returns the file's id */
  upload(file: File, onProgress: (fraction: number) => void): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const call = new XMLHttpRequest();
    call.open('POST', '/v1/files');
    call.setRequestHeader('Authorization', `Bearer ${this.#token}`);
    call.responseType = 'json';
    call.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total === 0 ? 1 : loaded / total));
    call.addEventListener('error', () => reject(new ApiError(0, 'unreachable', unreachable)));
    call.addEventListener('load', () => {
      if (call.status === 401) this.#onUnauthenticated();
      const id = textOf(asObject(call.response), 'id', 'fileId');
      if (call.status < 300 && id !== undefined) resolve(id);
      else reject(problem(call.status, call.response));
    });
    const form = new FormData();
    form.append('file', file);
    call.send(form);
    return promise;
  }

  get #headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.#token}` };
  }

  async #call(path: string, init: RequestInit): Promise<Response> {
    const response = await request(path, init);
    if (response.status === 401) this.#onUnauthenticated();
    return response.ok ? response : refuse(response);
  }
}

/** Development only. Undefined where this server does not sign anybody in (404): it wants a token from elsewhere. */
export async function requestDemoToken(userId: string): Promise<string | undefined> {
  const response = await request('/v1/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ userId }),
  });
  if (response.status === 404 || response.status === 405) return undefined;
  if (!response.ok) return refuse(response);
  return textOf(asObject(await response.json()), 'token');
}

async function request(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (thrown) {
    throw new ApiError(0, 'unreachable', `${unreachable}${thrown instanceof TypeError ? '' : ` (${String(thrown)})`}`);
  }
}

async function refuse(response: Response): Promise<never> {
  throw problem(response.status, await response.json().catch(() => undefined));
}

/** RFC 9457: `detail` where there is one, else `title`, and the path of each fault. */
function problem(status: number, body: unknown): ApiError {
  const source = asObject(body);
  const faults = asArray(source['errors'])
    .map(asObject)
    .map((fault) => ({
      path: textOf(fault, 'path') ?? '',
      message: textOf(fault, 'message') ?? 'is not valid',
    }));
  const said = textOf(source, 'detail', 'title') ?? `The server answered ${numberOf(source, 'status') ?? status}.`;
  return new ApiError(status, textOf(source, 'code') ?? 'unknown', said, faults);
}

const isTemporary = (thrown: unknown): boolean =>
  thrown instanceof ApiError && (thrown.status === 0 || thrown.status === 503);
