import type { AttemptAborted } from './outcome.js';

/** An attempt whose handler runs in this process. */
export interface RunningAttempt {
  readonly jobId: string;
  readonly fence: number;
  readonly abort: (reason: AttemptAborted) => void;
}

/** The attempts that this process has in hand, so that the heartbeat can ask which of them it has lost, and stop those. */
export class RunningAttempts {
  readonly #attempts = new Set<RunningAttempt>();

  get all(): readonly RunningAttempt[] {
    return [...this.#attempts];
  }

  /** @returns what takes it out again. */
  add(attempt: RunningAttempt): Disposable {
    this.#attempts.add(attempt);
    return { [Symbol.dispose]: () => void this.#attempts.delete(attempt) };
  }

  /** By job and fence: a later attempt at the same job may have begun while the question was on its way. */
  abort(jobId: string, fence: number, reason: AttemptAborted): void {
    for (const attempt of this.#attempts) if (attempt.jobId === jobId && attempt.fence === fence) attempt.abort(reason);
  }

  abortAll(reason: AttemptAborted): void {
    for (const attempt of this.#attempts) attempt.abort(reason);
  }
}
