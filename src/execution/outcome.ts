import type { Random } from '../platform/clock.js';
import { isDatabaseLoss } from '../platform/connection-loss.js';
import { SynapError, toError } from '../platform/errors.js';
import { isStorableText, type Json } from '../platform/text.js';
import { fingerprintOf } from './fingerprint.js';
import { NonRetryableError, RetryAfterError, type RetryPolicy } from './retry.js';

/** What is kept of an error. `message` is for operators; `reason` is what the user may read. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly reason: string;
  readonly stack?: string;
  /** The same for errors of the same kind at the same place, whatever ids and numbers they mention. */
  readonly fingerprint: string;
}

/** How an attempt ended: a closed set, and the only thing that decides what becomes of the job. */
export type Outcome =
  | { readonly kind: 'completed'; readonly result: Json }
  | { readonly kind: 'retry'; readonly failure: Failure; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly failure: Failure }
  /** Shutdown, a lost lock, a lost database: it costs the job nothing. It comes back after `delayMs`, at once without. */
  | { readonly kind: 'interrupted'; readonly reason: string; readonly delayMs?: number }
  | { readonly kind: 'cancelled' };

/** Why an attempt's signal was aborted; `AbortSignal.reason` carries it. */
export class AttemptAborted extends Error {
  override readonly name = 'AttemptAborted';
  readonly why: 'shutdown' | 'lock_lost' | 'fence_lost' | 'timeout' | 'cancelled';

  constructor(why: AttemptAborted['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** A job whose own statements end its connection would come back for ever. */
const maxUncounted = 10;
const longestLossDelayMs = 30_000;

/**
 * A connection to Postgres that was lost under an attempt says nothing of the job: it is tried again without counting it as a failure,
 * ten times at most. Attempts that cost nothing (interrupted ones too) are those that were started, `fence`, without having failed.
 */
export function judgeLoss(
  thrown: unknown,
  { fence, failures }: { readonly fence: number; readonly failures: number },
): Outcome | undefined {
  const uncounted = fence - 1 - failures;
  if (!isDatabaseLoss(thrown) || uncounted >= maxUncounted) return undefined;
  const delayMs = Math.min(longestLossDelayMs, 100 * 2 ** uncounted);
  return { kind: 'interrupted', reason: `the database was lost: ${toError(thrown).message}`, delayMs };
}

/** Decides retry or dead for what a handler threw; `failures` counts the earlier ones. */
export function judgeFailure(thrown: unknown, failures: number, policy: RetryPolicy, random: Random): Outcome {
  if (thrown instanceof AttemptAborted && thrown.why !== 'timeout') {
    return thrown.why === 'cancelled' ? { kind: 'cancelled' } : { kind: 'interrupted', reason: thrown.message };
  }
  // Somebody else has the job; nothing this attempt says about it can be committed.
  if (thrown instanceof SynapError && thrown.code === 'fence_lost')
    return { kind: 'interrupted', reason: thrown.message };
  const failure = describeFailure(thrown);
  const count = failures + 1;
  if (thrown instanceof NonRetryableError || count >= policy.attempts) return { kind: 'dead', failure };
  const asked = thrown instanceof RetryAfterError ? thrown.delayMs : Number.NaN;
  const delayMs = Number.isNaN(asked) ? policy.backoff(count, random) : asked;
  return { kind: 'retry', failure, delayMs: Math.min(longestDelayMs, Math.max(0, Math.round(delayMs))) };
}

/** A year; what a service names may be anything. */
const longestDelayMs = 366 * 86_400_000;

const unexplained = 'Something went wrong on our side.';

export function describeFailure(thrown: unknown): Failure {
  const error = toError(thrown);
  const message = storable(error.message, 2_000);
  const fingerprint = fingerprintOf(error);
  const stack = error.stack === undefined ? {} : { stack: storable(stackOf(error), 8_000) };
  if (error instanceof NonRetryableError) {
    return { code: storable(error.code, 100), message, reason: message, fingerprint, ...stack };
  }
  if (error instanceof SynapError) {
    return {
      code: error.code,
      message,
      reason: storable(error.publicMessage ?? error.title, 2_000),
      fingerprint,
      ...stack,
    };
  }
  return {
    code: error instanceof AttemptAborted ? 'attempt_timeout' : 'handler_failed',
    message,
    reason: unexplained,
    fingerprint,
    ...stack,
  };
}

function storable(text: string, max: number): string {
  const cut = text.slice(0, max);
  return isStorableText(cut) ? cut : cut.toWellFormed().replaceAll('\u0000', '');
}

/** The error's stack and those of its causes, which V8 leaves out. */
function stackOf(error: Error): string {
  const stacks = [error.stack ?? String(error)];
  for (let { cause } = error; cause instanceof Error && stacks.length < 4; { cause } = cause) {
    stacks.push(`Caused by ${cause.stack ?? String(cause)}`);
  }
  return stacks.join('\n');
}
