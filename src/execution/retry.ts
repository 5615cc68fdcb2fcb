import type { Random } from '../platform/clock.js';

export interface ExponentialOptions {
  readonly baseMs: number;
  readonly maxMs?: number;
  /** 0 to 1: the share of the delay that is random, so that jobs that failed together do not return together. */
  readonly jitter?: number;
}

/** The delay in ms before the attempt that follows the `failures`-th failure (counted from 1). */
export type Backoff = (failures: number, random: Random) => number;

export interface RetryPolicy {
  /** Failures after which a job is dead. */
  readonly attempts: number;
  readonly backoff: Backoff;
}

/** base × 2^(failures − 1), at most `maxMs` (default 5 minutes), minus up to `jitter` of it. */
export function exponential({ baseMs, maxMs = 300_000, jitter = 0.5 }: ExponentialOptions): Backoff {
  return (failures, random) => {
    const full = Math.min(maxMs, baseMs * 2 ** (failures - 1));
    return Math.round(full * (1 - jitter * random()));
  };
}

export const defaultRetry: RetryPolicy = { attempts: 3, backoff: exponential({ baseMs: 1_000 }) };

/** Thrown by a handler where trying again cannot help: the job is dead at once. `message` is shown to the user. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
  readonly code: string;

  /** @param code what the page may branch on, such as `task_not_found`. */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Thrown by a handler that knows when to come back (a 429 with Retry-After). It counts as a failure. */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';
  readonly delayMs: number;

  constructor(delayMs: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.delayMs = delayMs;
  }
}
