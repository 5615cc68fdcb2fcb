/**
 * Every error that Synap shows to somebody, declared once: the stable `code` a client may branch on, the HTTP status
 * and the title. The catalogue is a contract (docs/errors.md); a test holds the two together.
 */
export const errorCatalogue = {
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  validation_failed: { status: 400, title: 'The request does not have the required form' },
  unauthenticated: { status: 401, title: 'Credentials are missing' },
  token_invalid: { status: 401, title: 'The token is not valid' },
  token_expired: { status: 401, title: 'The token has expired' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  event_id_taken: { status: 409, title: 'This event id is taken' },
  already_exists: { status: 409, title: 'Already exists' },
  job_state_conflict: { status: 409, title: 'The job is not in a state that allows this' },
  job_expired: { status: 409, title: 'The job was past its age and has been deleted' },
  operation_ended: { status: 409, title: 'The operation has ended' },
  replay_limit_reached: { status: 409, title: 'This job has been replayed too often' },
  payload_too_large: { status: 413, title: 'The payload is too large' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported' },
  unknown_event_type: { status: 422, title: 'There is no such event type' },
  idempotency_key_reused: { status: 422, title: 'This idempotency key was used with another body' },
  rate_limited: { status: 429, title: 'Too many requests' },
  overloaded: { status: 503, title: 'Overloaded, try again shortly' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
  maintenance: { status: 503, title: 'Under maintenance' },
  internal: { status: 500, title: 'Internal error' },
  // Start-up and the command line; these never reach HTTP clients.
  config_invalid: { status: 500, title: 'The configuration is not valid' },
  start_failed: { status: 500, title: 'Synap could not start' },
  // Inside an attempt; these reach dead letters and logs.
  fence_lost: { status: 500, title: 'Another attempt has taken over this job' },
  non_retryable: { status: 500, title: 'Retrying cannot help' },
  step_timeout: { status: 500, title: 'A step of the attempt took too long' },
  attempt_timeout: { status: 500, title: 'The attempt took too long' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCatalogue;

/** One fault of an input: where (a JSON path, `data.title`) and what. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

export interface SynapErrorOptions {
  /** What the client may read. Without it only the code's title is shown. */
  readonly publicMessage?: string;
  readonly faults?: readonly Fault[];
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** An error with a stable code. `message` is for logs; outsiders see the code's title and `publicMessage`. */
export class SynapError extends Error {
  override readonly name: string = 'SynapError';
  readonly code: ErrorCode;
  readonly publicMessage: string | undefined;
  readonly faults: readonly Fault[];
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: SynapErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.publicMessage = options.publicMessage;
    this.faults = options.faults ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }

  get title(): string {
    return errorCatalogue[this.code].title;
  }
}

/** Whatever was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
